# Bucket names are unique in the world, so they begin with the project's id.

# Template files and connection files: read by jobs, written by people who deploy.
resource "google_storage_bucket" "templates" {
  name                        = "${var.project_id}-${var.name}-templates"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  # A template file that was overwritten by mistake can be had back.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# The name changes with the content, so that a new connection is a new parameter, and the stream is updated. Older files
# stay: a run can be repeated with the connection that it had.
resource "google_storage_bucket_object" "connection" {
  bucket          = google_storage_bucket.templates.name
  name            = "connections/${trimsuffix(basename(var.connection_file), ".yaml")}-${substr(filesha256(var.connection_file), 0, 12)}.yaml"
  source          = var.connection_file
  content_type    = "application/yaml"
  deletion_policy = "ABANDON"
}

# What Dataflow puts away while a job runs.
resource "google_storage_bucket" "temp" {
  name                        = "${var.project_id}-${var.name}-temp"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  # Files of a shuffle hold events: they are not to outlive their deletion.
  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Not staging/: new workers of a stream read there what it was started with, however long ago that was.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 14
      matches_prefix = ["temp/"]
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

locals {
  kept = {
    # No personal data. A file that was deleted by mistake can be had back for a week (Cloud Storage's default).
    ledger       = { days = var.ledger_days, soft_delete_secs = 604800 }
    dead-letters = { days = var.dead_letter_days, soft_delete_secs = 604800 }
    # Original messages: whoever must forget a person must be able to. Deleted is deleted.
    quarantine = { days = var.quarantine_days, soft_delete_secs = 0 }
  }
}

# Files here are written once under unique names and never overwritten: versions would be copies of nothing.
resource "google_storage_bucket" "kept" {
  for_each = local.kept

  name                        = "${var.project_id}-${var.name}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete_secs
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = each.value.days
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# Workers write, list, read (skip_delivered, replay) and delete (locks, files of attempts that failed).
resource "google_storage_bucket_iam_member" "worker" {
  for_each = merge(
    { temp = google_storage_bucket.temp.name },
    { for name, bucket in google_storage_bucket.kept : name => bucket.name },
  )

  bucket = each.value
  role   = "roles/storage.objectUser"
  member = local.worker.member
}

resource "google_storage_bucket_iam_member" "templates" {
  for_each = google_service_account.account

  bucket = google_storage_bucket.templates.name
  role   = "roles/storage.objectViewer"
  member = each.value.member
}

resource "google_storage_bucket_iam_member" "history_input" {
  for_each = var.history == null ? toset([]) : var.history.input_buckets

  bucket = each.value
  role   = "roles/storage.objectViewer"
  member = local.worker.member
}

resource "google_storage_bucket_iam_member" "operator" {
  for_each = {
    for pair in setproduct(["ledger", "dead-letters"], var.operators) : "${pair[0]} ${pair[1]}" => pair
  }

  bucket = google_storage_bucket.kept[each.value[0]].name
  role   = "roles/storage.objectViewer"
  member = each.value[1]
}

resource "google_storage_bucket_iam_member" "quarantine_reader" {
  for_each = var.quarantine_readers

  bucket = google_storage_bucket.kept["quarantine"].name
  role   = "roles/storage.objectViewer"
  member = each.value
}
