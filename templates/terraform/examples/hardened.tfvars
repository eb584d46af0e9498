# Own key, no external addresses, a nightly job, quarantine for few eyes, alerts to somebody.
#   terraform apply -var-file examples/hardened.tfvars
project_id      = "acme-prod"
region          = "europe-west1"
name            = "acme-tiktok"
connection_file = "../../examples/connection.yaml"
labels          = { team = "shop-data", cost_center = "4711" }

template_version = "0.2.0"
start_stream     = true
stream = {
  max_workers = 5
  quarantine  = true
  parameters  = { requests_per_second = "20" }
}

history = {
  input         = "gs://acme-events/mparticle/**"
  input_buckets = ["acme-events"]
  schedule      = "30 3 * * *"
  time_zone     = "Europe/Berlin"
  quarantine    = true
}

kms_key    = "projects/acme-keys/locations/europe-west1/keyRings/shop/cryptoKeys/tiktok-events"
private_ip = true

operators          = ["group:shop-data@example.com"]
quarantine_readers = ["group:privacy@example.com"]
ledger_days        = 400
quarantine_days    = 14

notification_channels = ["projects/acme-prod/notificationChannels/1234567890"]
thresholds = {
  backlog_secs = 300
  quiet_hours  = 2
}
