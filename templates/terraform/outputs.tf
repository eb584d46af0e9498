output "topic" {
  description = "Topic to enter in mParticle's Pub/Sub output."
  value       = google_pubsub_topic.events.name
}

output "image" {
  description = "Name under which the image is built and pushed."
  value       = local.image
}

output "templates" {
  description = "Where the template files belong, by template."
  value       = local.templates
}

output "token_secret" {
  description = "Secret that takes the TikTok token: gcloud secrets versions add NAME --data-file=-"
  value       = google_secret_manager_secret.token.secret_id
}

output "connection" {
  description = "The connection file as the jobs read it."
  value       = local.connection
}

output "subscription" {
  description = "Subscription that the stream reads."
  value       = local.subscription
}

output "ledger" {
  description = "For tiktok-events reconcile and report."
  value       = local.ledger
}

output "dead_letters" {
  description = "For tiktok-events replay."
  value       = local.dead_letters
}

output "quarantine" {
  description = "Original messages of what was rejected; personal data."
  value       = local.quarantine
}

output "temp_location" {
  description = "For jobs that are launched by hand."
  value       = local.temp_location
}

output "accounts" {
  description = "Service accounts by task."
  value       = { for task, account in google_service_account.account : task => account.email }
}
