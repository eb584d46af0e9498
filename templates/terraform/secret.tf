# The secret without its value, which must not stand in Terraform's state. Afterwards, from standard input:
#   gcloud secrets versions add NAME --data-file=-
resource "google_secret_manager_secret" "token" {
  secret_id           = "${var.name}-token"
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key[*]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# On this secret alone, and for workers alone: whoever launches never sees the token.
resource "google_secret_manager_secret_iam_member" "worker" {
  secret_id = google_secret_manager_secret.token.id
  role      = "roles/secretmanager.secretAccessor"
  member    = local.worker.member
}
