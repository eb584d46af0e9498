locals {
  # A row a list; the grid has 48 columns, and a tile of a row has its share of them.
  rows = [
    [
      {
        title = "Outcomes in 5 minutes"
        lines = { for kind in ["delivered", "skipped", "rejected", "undelivered", "unknown"] : kind => local.growth[kind]["5m"] }
      },
      {
        title = "Share delivered of what was ours to send (30 minutes)"
        lines = { share = "(${local.growth.delivered["30m"]} or vector(0)) / (${local.growth.settled["30m"]} > 0)" }
      },
    ],
    [
      {
        title = "Not delivered, by reason (total of each job)"
        lines = { "" = "sum by (metric_name) (dataflow_googleapis_com:job_user_counter{${local.jobs_selector},metric_name=~\"outcome:(rejected|undelivered|unknown):.*\"})" }
      },
      {
        title = "Skipped, by reason (total of each job)"
        lines = { "" = "sum by (metric_name) (dataflow_googleapis_com:job_user_counter{${local.jobs_selector},metric_name=~\"outcome:skipped:.*\"})" }
      },
    ],
    [
      {
        title = "Age of the oldest message that is not settled (s)"
        lines = { age = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription_selector}})" }
      },
      {
        title = "Messages that wait in Pub/Sub"
        lines = {
          waiting       = "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription_selector}})"
          undeliverable = "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.undeliverable_selector}})"
        }
      },
      {
        title = "Messages published (per second)"
        lines = { published = "sum(rate(pubsub_googleapis_com:topic_send_message_operation_count{${local.topic_selector}}[5m]))" }
      },
    ],
    [
      {
        title = "Delivered events by their age, in 15 minutes"
        lines = {
          "up to 1 s"   = local.growth.latency_event_1["15m"]
          "up to 10 s"  = local.growth.latency_event_10["15m"]
          "up to 5 min" = local.growth.latency_event_300["15m"]
          "older"       = local.growth.latency_event_more["15m"]
        }
      },
      {
        title = "Too old for TikTok to merge with the pixel's, in 15 minutes"
        lines = { events = local.growth.past_merge_window["15m"] }
      },
    ],
    [
      {
        title = "Requests and retries in 5 minutes"
        lines = { requests = local.growth.requests["5m"], retries = local.growth.retries["5m"] }
      },
      {
        title = "Seconds of waiting for the budget or TikTok's limit, in 5 minutes"
        lines = { throttled = local.growth.throttled["5m"] }
      },
      {
        title = "Token or connection refused: openings and probes in 5 minutes"
        lines = { circuit = local.growth.circuit["5m"] }
      },
    ],
    [
      {
        title = "Lag of the stream (s)"
        lines = {
          system = "max(dataflow_googleapis_com:job_system_lag{${local.stream_selector}})"
          data   = "max(dataflow_googleapis_com:job_data_watermark_age{${local.stream_selector}})"
        }
      },
      {
        title = "vCPUs"
        lines = { "" = "sum by (job_name) (dataflow_googleapis_com:job_current_num_vcpus{${local.jobs_selector}})" }
      },
    ],
  ]

  row_height = 14
  tiles = flatten([
    for row, tiles in local.rows : [
      for column, tile in tiles : {
        xPos   = column * floor(48 / length(tiles))
        yPos   = row * local.row_height
        width  = floor(48 / length(tiles))
        height = local.row_height
        widget = {
          title = tile.title
          xyChart = {
            dataSets = [
              for name, query in tile.lines : {
                plotType       = "LINE"
                legendTemplate = name
                timeSeriesQuery = {
                  prometheusQuery = query
                }
              }
            ]
          }
        }
      }
    ]
  ])
}

resource "google_monitoring_dashboard" "pipeline" {
  dashboard_json = jsonencode({
    displayName  = "TikTok events: ${var.name}"
    labels       = { (var.name) = "" }
    mosaicLayout = { columns = 48, tiles = local.tiles }
  })

  depends_on = [google_project_service.api]
}
