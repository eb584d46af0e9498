# With a key of one's own, each service's agent must be allowed to use it; nobody else is.
data "google_storage_project_service_account" "storage" {
  count = var.kms_key == null ? 0 : 1
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = var.kms_key == null ? {} : {
    artifacts     = local.agents.artifacts
    compute       = local.agents.compute
    dataflow      = local.agents.dataflow
    pubsub        = local.agents.pubsub
    secretmanager = local.agents.secretmanager
    storage       = data.google_storage_project_service_account.storage[0].member
  }

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [google_project_service_identity.agent]
}
