# Nightly: Cloud Scheduler asks Dataflow to launch the template `history`. The body never changes; what is relative is in
# it: `since = "-1d"` is counted from the moment the job starts.
#
# The job's name is constant on purpose: Dataflow refuses a second active job of a name, so a night that is still running
# is not overtaken. The refusal is an error of the schedule (409) and raises an alert.
locals {
  # None or one.
  history_parameters = [
    for history in var.history[*] : merge(
      {
        connection     = local.connection
        access_token   = local.access_token
        input          = history.input
        since          = history.since
        timezone       = history.time_zone
        date_partition = "true"
        skip_delivered = "true"
        ledger         = local.ledger
        dead_letters   = local.dead_letters
      },
      history.quarantine ? { quarantine = local.quarantine } : {},
      history.parameters,
    )
  ]

  history_environments = [
    for history in var.history[*] : merge(
      {
        serviceAccountEmail  = local.worker.email
        tempLocation         = local.temp_location
        stagingLocation      = local.staging_location
        sdkContainerImage    = local.image
        machineType          = history.machine_type
        maxWorkers           = history.max_workers
        ipConfiguration      = var.private_ip ? "WORKER_IP_PRIVATE" : "WORKER_IP_PUBLIC"
        additionalUserLabels = local.labels
      },
      var.kms_key == null ? {} : { kmsKeyName = var.kms_key },
      local.subnetwork == null ? {} : { subnetwork = local.subnetwork },
    )
  ]
}

resource "google_cloud_scheduler_job" "history" {
  count = var.history == null ? 0 : 1

  name             = local.history_job
  description      = "Sends to TikTok what the stream has not, from the files of the last day"
  region           = var.region
  schedule         = var.history.schedule
  time_zone        = var.history.time_zone
  paused           = var.history.paused
  attempt_deadline = "180s"

  # Only the launch is tried again; the job has its own retries. Cloud Scheduler does so after every answer but 2xx, also
  # after a refusal, which the job's name makes harmless.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "60s"
    max_backoff_duration = "600s"
    max_doublings        = 2
  }

  http_target {
    http_method = "POST"
    uri         = "https://dataflow.googleapis.com/v1b3/projects/${var.project_id}/locations/${var.region}/flexTemplates:launch"
    headers     = { "Content-Type" = "application/json" }
    body = base64encode(jsonencode({
      launchParameter = {
        jobName              = local.history_job
        containerSpecGcsPath = local.templates.history
        parameters           = local.history_parameters[count.index]
        environment          = local.history_environments[count.index]
      }
    }))

    oauth_token {
      service_account_email = google_service_account.account["scheduler"].email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }

  depends_on = [
    google_project_iam_member.scheduler,
    google_project_service_identity.agent,
    google_service_account_iam_member.act_as_worker,
    google_storage_bucket_iam_member.templates,
  ]
}
