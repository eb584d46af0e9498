# Each alert says what to do. PromQL, because ratios and counters of user code cannot be had with filters, and MQL is
# no longer offered for new policies.
locals {
  always = {
    backlog_age = {
      title    = "Events wait too long"
      severity = "ERROR"
      query    = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription_selector}}) > ${var.thresholds.backlog_secs}"
      duration = "300s"
      help     = <<-EOT
        The oldest message of `${google_pubsub_subscription.events.name}` is older than ${var.thresholds.backlog_secs} s.
        TikTok merges an event with the pixel's for five minutes only, and drops repeats for 48 hours only.

        1. Is the alert "TikTok refuses the token" open as well? Begin there.
        2. Does the job `${local.stream_job}` run? If not: `terraform apply`; messages are kept for ${var.retention / 86400} days.
        3. Throttled? Then TikTok's limit, or `requests_per_second` of the connection, is below the traffic.
        4. Else: are workers at `max_workers` and busy? Raise `stream.max_workers`.
      EOT
    }
    delivered_ratio = {
      title    = "Too few events are delivered"
      severity = "ERROR"
      query = join("", [
        "((${local.growth.delivered["30m"]} or vector(0)) / ${local.growth.settled["30m"]} < ${var.thresholds.delivered_ratio})",
        " and (${local.growth.settled["30m"]} > ${var.thresholds.delivered_min_count})",
      ])
      duration = "300s"
      help     = <<-EOT
        Of the events that were ours to send in the last 30 minutes, less than ${var.thresholds.delivered_ratio * 100} % were delivered.
        The dashboard shows the others by reason; docs/outcomes.md has a remedy for each reason. Then replay:

            tiktok-events replay --connection FILE --dead_letters ${local.dead_letters} --ledger ${local.ledger}
      EOT
    }
    rejected = {
      title    = "Events are rejected"
      severity = "WARNING"
      query    = "${local.growth.rejected["15m"]} > ${var.thresholds.rejected}"
      duration = "0s"
      help     = <<-EOT
        More than ${var.thresholds.rejected} events in 15 minutes cannot be sent as they are: unreadable, without page URL, or named invalid by
        TikTok. Something has changed at the site, the feed or the mapping.

            tiktok-events reconcile --ledger ${local.ledger}

        names the reasons. Correct the source, then `tiktok-events replay` with `--reason`.
      EOT
    }
    undelivered = {
      title    = "Events are undelivered"
      severity = "ERROR"
      query    = "${local.growth.undelivered["15m"]} > ${var.thresholds.undelivered}"
      duration = "0s"
      help     = <<-EOT
        TikTok could not be reached, kept throttling, or refused token or configuration; retries are used up. Nothing is lost.
        Remove the cause, then:

            tiktok-events replay --connection FILE --dead_letters ${local.dead_letters} --ledger ${local.ledger}
      EOT
    }
    unknown = {
      title    = "TikTok may or may not have some events"
      severity = "ERROR"
      query    = "${local.growth.unknown["15m"]} > ${var.thresholds.unknown}"
      duration = "0s"
      help     = <<-EOT
        A reply never came, or could not be read. **Replay within 48 hours of the first attempt**: event ids stay the same and
        TikTok drops what it has. Later, somebody must decide.

            tiktok-events replay --connection FILE --dead_letters ${local.dead_letters} --ledger ${local.ledger}
      EOT
    }
    circuit = {
      title    = "TikTok refuses the token or the connection"
      severity = "CRITICAL"
      query    = "${local.growth.circuit["5m"]} > 0"
      duration = "0s"
      help     = <<-EOT
        Nothing is sent. The stream keeps its events in Pub/Sub and Dataflow, and tries one request a minute (`probe_secs`);
        a history job has ended. The log names TikTok's code.

        1. Is the token valid? `tiktok-events check FILE --online --test_event_code CODE`
        2. New token: `gcloud secrets versions add ${google_secret_manager_secret.token.secret_id} --data-file=-`
           The stream reads it by itself and goes on. Then disable the old version.
        3. Another id or endpoint: correct the connection file, `terraform apply`.
      EOT
    }
    throttling = {
      title    = "Requests are held back"
      severity = "WARNING"
      query    = "${local.growth.throttled["15m"]} > ${var.thresholds.throttled_secs}"
      duration = "900s"
      help     = <<-EOT
        Workers spent more than ${var.thresholds.throttled_secs} s of 15 minutes waiting for the budget, or because TikTok answered "too many requests".
        If events wait too long as well: raise `requests_per_second` if TikTok allows more, else ask TikTok for a higher limit.
        If TikTok throttles (`outcome:undelivered:throttled`, `retries`): lower it. More workers do not help.
      EOT
    }
    no_data = {
      title    = "Nothing is published"
      severity = "WARNING"
      query    = "(sum(increase(pubsub_googleapis_com:topic_send_message_operation_count{${local.topic_selector}}[${var.thresholds.quiet_hours}h])) or vector(0)) < 1"
      duration = "300s"
      help     = <<-EOT
        Nobody has published to `${google_pubsub_topic.events.name}` for ${var.thresholds.quiet_hours} hours.
        In mParticle: is the Pub/Sub output active, and does *Activity* show errors? May its account still publish
        (`gcloud pubsub topics get-iam-policy ${google_pubsub_topic.events.name}`)?
      EOT
    }
    undeliverable = {
      title    = "Pub/Sub gave up on messages"
      severity = "ERROR"
      query    = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.undeliverable_selector}}) > 0"
      duration = "0s"
      help     = <<-EOT
        ${var.max_delivery_attempts} deliveries of a message did not settle it: it kills the process that reads it, or the job was restarted
        again and again while it waited. Originals are in `${google_pubsub_subscription.kept["undeliverable"].name}` (personal data). Look for
        crashes in the job's log, and report what you find; then publish them to `${google_pubsub_topic.events.name}` again.
      EOT
    }
    job_failed = {
      title    = "A Dataflow job failed"
      severity = "CRITICAL"
      query    = "max by (job_name) (dataflow_googleapis_com:job_is_failed{${local.jobs_selector}}) > 0"
      duration = "0s"
      help     = <<-EOT
        The stream: `terraform apply` starts it again, and messages have waited in Pub/Sub. History: start its schedule by hand,

            gcloud scheduler jobs run ${local.history_job} --location ${var.region}

        within 48 hours: what was sent and not recorded goes out with the same event ids, and TikTok drops it.
      EOT
    }
  }

  with_stream = {
    no_job = {
      title    = "The stream does not run"
      severity = "CRITICAL"
      query    = "absent_over_time(dataflow_googleapis_com:job_system_lag{${local.stream_selector}}[15m])"
      duration = "600s"
      help     = <<-EOT
        Dataflow has reported nothing of `${local.stream_job}` for 15 minutes: it was drained, cancelled, or has failed.
        `terraform apply` starts it again; messages are kept for ${var.retention / 86400} days. If it is meant to rest: `start_stream = false`.
      EOT
    }
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = var.start_stream ? merge(local.always, local.with_stream) : local.always

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.duration
      evaluation_interval = "60s"
      # Counters appear with their first count: until then the metric, or the label's value, is not there.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = each.value.help
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_project_service.api]
}

# The schedule writes a line for each try. A refused launch leaves no job, so no metric tells of it.
resource "google_monitoring_alert_policy" "history_not_started" {
  count = var.history == null ? 0 : 1

  display_name          = "${var.name}: History was not started"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = var.notification_channels
  user_labels           = local.labels

  conditions {
    display_name = "Cloud Scheduler could not launch the job"

    condition_matched_log {
      filter = "resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${local.history_job}\" AND severity>=ERROR"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      The log line of the schedule has the status. 409: the job of the night before still runs; let it end, then run the
      schedule by hand. 403: grants are missing, `terraform apply`. 400: the template and the parameters do not fit together;
      was the template built for `template_version = "${var.template_version}"`?

          gcloud scheduler jobs run ${local.history_job} --location ${var.region}
    EOT
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  depends_on = [google_project_service.api]
}
