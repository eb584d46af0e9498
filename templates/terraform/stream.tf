# The stream: the flags of `tiktok-events run`, as parameters of the template `stream`. Nothing secret is among them.
resource "google_dataflow_flex_template_job" "stream" {
  provider = google-beta
  count    = var.start_stream ? 1 : 0

  name                    = local.stream_job
  region                  = var.region
  container_spec_gcs_path = local.templates.stream

  parameters = merge(
    {
      connection        = local.connection
      access_token      = local.access_token
      subscription      = local.subscription
      ledger            = local.ledger
      dead_letters      = local.dead_letters
      dead_letter_topic = local.dead_letter_topic
    },
    var.stream.quarantine ? { quarantine = local.quarantine } : {},
    var.stream.parameters,
  )

  # Destroyed or replaced, the job first delivers what it has read.
  on_delete = "drain"

  service_account_email   = local.worker.email
  temp_location           = local.temp_location
  staging_location        = local.staging_location
  sdk_container_image     = local.image
  enable_streaming_engine = true
  # Equal event ids make a repeat harmless, so nothing is paid for exactly-once.
  additional_experiments = ["streaming_mode_at_least_once"]
  machine_type           = var.stream.machine_type
  num_workers            = var.stream.num_workers
  max_workers            = var.stream.max_workers
  autoscaling_algorithm  = "THROUGHPUT_BASED"
  kms_key_name           = var.kms_key
  subnetwork             = local.subnetwork
  ip_configuration       = var.private_ip ? "WORKER_IP_PRIVATE" : "WORKER_IP_PUBLIC"
  labels                 = local.labels

  depends_on = [
    google_artifact_registry_repository_iam_member.worker,
    google_compute_router_nat.workers,
    google_project_iam_member.worker,
    google_pubsub_subscription_iam_member.worker,
    google_pubsub_topic_iam_member.worker,
    google_secret_manager_secret_iam_member.worker,
    google_storage_bucket_iam_member.templates,
    google_storage_bucket_iam_member.worker,
  ]
}
