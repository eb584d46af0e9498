# What mParticle publishes.
resource "google_pubsub_topic" "events" {
  name         = var.name
  kms_key_name = var.kms_key

  message_storage_policy {
    # Personal data: stays in the region.
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = var.publishers

  topic  = google_pubsub_topic.events.id
  role   = "roles/pubsub.publisher"
  member = each.value
}

resource "google_pubsub_subscription" "events" {
  name  = "${var.name}-stream"
  topic = google_pubsub_topic.events.id

  # Dataflow extends leases by itself; after a worker has died its messages come again when this is over.
  ack_deadline_seconds       = 60
  message_retention_duration = "${var.retention}s"
  # TikTok does not care for order, and drops repeats by event_id: both would only cost.
  enable_message_ordering      = false
  enable_exactly_once_delivery = false

  # The default removes a subscription that nobody has read for 31 days, with what is in it.
  expiration_policy {
    ttl = ""
  }

  # The pipeline never gives a message back: what it cannot read is `rejected` and acknowledged. This is for messages
  # that kill the process that reads them, before any rule sees them; they would come back for ever. Dataflow supports it
  # in part only: it gives nothing back, so an attempt is a lease that ran out.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undeliverable.id
    max_delivery_attempts = var.max_delivery_attempts
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

resource "google_pubsub_subscription_iam_member" "worker" {
  # viewer: Dataflow looks the subscription up.
  for_each = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"])

  subscription = google_pubsub_subscription.events.name
  role         = each.value
  member       = local.worker.member
}

# What the pipeline did not deliver (--dead_letter_topic): finished payloads, identities hashed.
resource "google_pubsub_topic" "dead_letters" {
  name         = "${var.name}-dead-letters"
  kms_key_name = var.kms_key

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic_iam_member" "worker" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = local.worker.member
}

# What Pub/Sub itself gave up: original messages, personal data.
resource "google_pubsub_topic" "undeliverable" {
  name         = "${var.name}-undeliverable"
  kms_key_name = var.kms_key

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_project_service.api, google_kms_crypto_key_iam_member.agent]
}

# Without a subscription, what is published to these topics is gone.
resource "google_pubsub_subscription" "kept" {
  for_each = {
    dead-letters  = google_pubsub_topic.dead_letters.id
    undeliverable = google_pubsub_topic.undeliverable.id
  }

  name                       = "${var.name}-${each.key}"
  topic                      = each.value
  ack_deadline_seconds       = 60
  message_retention_duration = "${min(var.dead_letter_days, 31) * 86400}s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription_iam_member" "operator" {
  for_each = var.operators

  subscription = google_pubsub_subscription.kept["dead-letters"].name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

resource "google_pubsub_subscription_iam_member" "quarantine_reader" {
  for_each = var.quarantine_readers

  subscription = google_pubsub_subscription.kept["undeliverable"].name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

# Pub/Sub's own account moves undeliverable messages: it takes them from the one and publishes them to the other.
resource "google_pubsub_subscription_iam_member" "agent" {
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub

  depends_on = [google_project_service_identity.agent]
}

resource "google_pubsub_topic_iam_member" "agent" {
  topic  = google_pubsub_topic.undeliverable.id
  role   = "roles/pubsub.publisher"
  member = local.agents.pubsub

  depends_on = [google_project_service_identity.agent]
}
