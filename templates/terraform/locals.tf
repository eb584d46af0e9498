locals {
  labels = merge({ application = "tiktok-events", pipeline = var.name }, var.labels)

  # Names are put together here, not read from attributes that are known only after `apply`: the plan shows the whole job.
  subscription      = "projects/${var.project_id}/subscriptions/${google_pubsub_subscription.events.name}"
  dead_letter_topic = "projects/${var.project_id}/topics/${google_pubsub_topic.dead_letters.name}"
  access_token      = "projects/${var.project_id}/secrets/${google_secret_manager_secret.token.secret_id}/versions/latest"
  connection        = "gs://${google_storage_bucket.templates.name}/${google_storage_bucket_object.connection.name}"
  ledger            = "gs://${google_storage_bucket.kept["ledger"].name}/ledger"
  dead_letters      = "gs://${google_storage_bucket.kept["dead-letters"].name}/dead-letters"
  quarantine        = "gs://${google_storage_bucket.kept["quarantine"].name}/quarantine"
  temp_location     = "gs://${google_storage_bucket.temp.name}/temp"
  staging_location  = "gs://${google_storage_bucket.temp.name}/staging"

  registry = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
  image    = "${local.registry}/tiktok-events:${var.template_version}"
  templates = {
    for template in ["stream", "history", "replay"] :
    template => "gs://${google_storage_bucket.templates.name}/templates/${var.template_version}/${template}.json"
  }

  stream_job  = "${var.name}-stream"
  history_job = "${var.name}-history"

  # Worker → worker, launcher and scheduler → worker.
  worker = google_service_account.account["worker"]

  # Service agents: accounts of Google's, which exist once their API is on.
  agents = {
    for name, domain in {
      compute       = "compute-system"
      dataflow      = "dataflow-service-producer-prod"
      pubsub        = "gcp-sa-pubsub"
      secretmanager = "gcp-sa-secretmanager"
      artifacts     = "gcp-sa-artifactregistry"
    } : name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }
}

data "google_project" "this" {
  project_id = var.project_id
}
