# Three accounts, each with what it needs. Grants on single resources stand beside these resources; README.md of
# templates/ has the whole table.
resource "google_service_account" "account" {
  for_each = {
    worker    = "Workers and launcher machine of the Dataflow jobs"
    launcher  = "Launches jobs from outside: tiktok-events launch, Airflow, CI"
    scheduler = "Cloud Scheduler: launches the history job"
  }

  account_id   = "${var.name}-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.api]
}

# Cloud Dataflow: what every worker needs. There is nothing narrower that Dataflow accepts.
resource "google_project_iam_member" "worker" {
  project = var.project_id
  role    = "roles/dataflow.worker"
  member  = local.worker.member
}

# A person or a program that launches also lists, drains and cancels.
resource "google_project_iam_member" "launcher" {
  project = var.project_id
  role    = "roles/dataflow.developer"
  member  = google_service_account.account["launcher"].member
}

# The schedule only starts. roles/dataflow.developer could also cancel or replace the stream.
resource "google_project_iam_custom_role" "start_jobs" {
  role_id     = "${replace(var.name, "-", "_")}_start_jobs"
  title       = "Start Dataflow jobs (${var.name})"
  description = "Launches Flex Templates and looks at jobs; cannot cancel, drain or update them."
  permissions = ["dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"]
}

resource "google_project_iam_member" "scheduler" {
  project = var.project_id
  role    = google_project_iam_custom_role.start_jobs.name
  member  = google_service_account.account["scheduler"].member
}

# Whoever launches lets the job run as the worker account: the right to act as that one account, not as any.
resource "google_service_account_iam_member" "act_as_worker" {
  for_each = toset(["launcher", "scheduler"])

  service_account_id = local.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.account[each.value].member
}
