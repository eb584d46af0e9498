# Queries (PromQL) that the dashboard and the alerts share.
#
# The pipeline's counters arrive as dataflow.googleapis.com/job/user_counter: a gauge of the count so far, for each job,
# step and name. `growth` is what came in a window: per job, so that a new job begins at nothing, and with nothing for
# "before" where a counter is new (delta() would miss its first count). "Before" is the last value of the hour that ends
# where the window begins, because Dataflow's data has gaps.
locals {
  stream_selector = "monitored_resource=\"dataflow_job\",job_name=\"${local.stream_job}\""
  jobs_selector   = "monitored_resource=\"dataflow_job\",job_name=~\"${var.name}-(stream|history)\""

  # Counters of the pipeline by what they tell; names are those of transforms/outcomes.py, counters.py, latency.py.
  counters = {
    delivered          = "metric_name=\"outcome:delivered\""
    skipped            = "metric_name=~\"outcome:skipped:.*\""
    rejected           = "metric_name=~\"outcome:rejected:.*\""
    undelivered        = "metric_name=~\"outcome:undelivered:.*\""
    unknown            = "metric_name=~\"outcome:unknown:.*\""
    settled            = "metric_name=~\"outcome:(delivered|(rejected|undelivered|unknown):.*)\""
    requests           = "metric_name=\"requests\""
    retries            = "metric_name=\"retries\""
    throttled          = "metric_name=\"cumulativeThrottlingSeconds\""
    circuit            = "metric_name=~\"circuit_opened|circuit_probes\""
    past_merge_window  = "metric_name=\"past_merge_window\""
    latency_event_1    = "metric_name=~\"latency_event:(0[.]05|0[.]1|0[.]2|0[.]3|0[.]5|0[.]75|1)\""
    latency_event_10   = "metric_name=~\"latency_event:(1[.]5|2|2[.]5|3|3[.]5|4|4[.]5|5|5[.]5|6|7|8|9|10)\""
    latency_event_300  = "metric_name=~\"latency_event:(12|15|20|30|45|60|120|300)\""
    latency_event_more = "metric_name=~\"latency_event:(600|1800|3600|7200|21600|86400|more)\""
  }

  growth = {
    for name, selector in local.counters : name => {
      for window in ["5m", "15m", "30m"] : window => join("", [
        "sum(sum by (job_id) (dataflow_googleapis_com:job_user_counter{${local.jobs_selector},${selector}})",
        " - (sum by (job_id) (last_over_time(dataflow_googleapis_com:job_user_counter{${local.jobs_selector},${selector}}[1h] offset ${window}))",
        " or 0 * sum by (job_id) (dataflow_googleapis_com:job_user_counter{${local.jobs_selector},${selector}})))",
      ])
    }
  }

  subscription_selector  = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.events.name}\""
  undeliverable_selector = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.kept["undeliverable"].name}\""
  topic_selector         = "monitored_resource=\"pubsub_topic\",topic_id=\"${google_pubsub_topic.events.name}\""
}
