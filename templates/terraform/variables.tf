# What must be said.

variable "project_id" {
  description = "Google Cloud project that holds everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id: give the project's id (gcloud config get project), not its name or number."
  }
}

variable "region" {
  description = "Region of the jobs, buckets, the secret and the image, such as europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region: give a region such as europe-west1, not a zone (europe-west1-b) or a multi-region (EU)."
  }
}

variable "connection_file" {
  description = "Connection file (YAML) on this machine. It is uploaded; it holds no secret."
  type        = string

  validation {
    condition     = fileexists(var.connection_file)
    error_message = "connection_file: there is no such file; the path is relative to the folder terraform runs in."
  }
}

# What may be said.

variable "name" {
  description = "Begins the name of every resource. Two pipelines in one project need two names."
  type        = string
  default     = "tiktok-events"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,16}[a-z0-9]$", var.name))
    error_message = "name: 3 to 18 small letters, digits and dashes, first a letter; service account ids allow no more."
  }
}

variable "labels" {
  description = "Labels of all resources that take some."
  type        = map(string)
  default     = {}
}

variable "publishers" {
  description = "Who may publish to the topic. The default is mParticle's account; see its Pub/Sub page before you trust it."
  type        = set(string)
  default     = ["serviceAccount:mparticle-gcp-clientfacing@gcp-prod-170221.iam.gserviceaccount.com"]

  validation {
    condition     = alltrue([for member in var.publishers : can(regex("^(serviceAccount|group|user|principal|principalSet):", member))])
    error_message = "publishers: write members with their kind, such as serviceAccount:NAME@PROJECT.iam.gserviceaccount.com."
  }
}

variable "operators" {
  description = "Who may read the ledger and dead letters, such as group:shop-data@example.com."
  type        = set(string)
  default     = []
}

variable "quarantine_readers" {
  description = "Who may read the quarantine and undeliverable messages: personal data. Keep this group small."
  type        = set(string)
  default     = []
}

variable "deletion_protection" {
  description = "Keep buckets with something in them, and the secret, from being destroyed."
  type        = bool
  default     = true
}

# The template.

variable "template_version" {
  description = "Version of the template: the tag of the image and the folder of the template files."
  type        = string
  default     = "0.2.0"

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.template_version)) && var.template_version != "latest"
    error_message = "template_version: give a fixed tag such as 0.2.0; what `latest` means changes under a running job."
  }
}

# The stream.

variable "start_stream" {
  description = "Run the streaming job. Leave it false until image, template and token are there."
  type        = bool
  default     = false
}

variable "stream" {
  description = "The streaming job. parameters: further template parameters, such as {requests_per_second = \"50\"}."
  type = object({
    machine_type = optional(string, "n2-standard-2")
    num_workers  = optional(number, 1)
    max_workers  = optional(number, 3)
    quarantine   = optional(bool, false)
    parameters   = optional(map(string), {})
  })
  default = {}

  validation {
    condition     = 1 <= var.stream.num_workers && var.stream.num_workers <= var.stream.max_workers
    error_message = "stream: 1 <= num_workers <= max_workers is needed."
  }

  validation {
    condition     = !contains(keys(var.stream.parameters), "access_token")
    error_message = "stream.parameters: leave access_token out; the job is given the reference to the secret of this module."
  }
}

variable "retention" {
  description = "How long the subscription keeps messages while nobody reads them (seconds, 10 minutes to 31 days)."
  type        = number
  default     = 604800

  validation {
    condition     = 600 <= var.retention && var.retention <= 2678400
    error_message = "retention: 600 to 2678400 seconds; TikTok drops repeats for 172800 seconds (48 h) only."
  }
}

variable "max_delivery_attempts" {
  description = "A message that so many deliveries did not settle goes to the undeliverable topic (5 to 100)."
  type        = number
  default     = 100

  validation {
    condition     = 5 <= var.max_delivery_attempts && var.max_delivery_attempts <= 100
    error_message = "max_delivery_attempts: 5 to 100; each restart of a worker is an attempt, so low numbers bury good messages."
  }
}

# History.

variable "history" {
  description = "The nightly job; null: none. input: globs on Cloud Storage. input_buckets: buckets to grant reading on."
  type = object({
    input         = string
    input_buckets = set(string)
    since         = optional(string, "-1d")
    schedule      = optional(string, "0 3 * * *")
    time_zone     = optional(string, "Etc/UTC")
    paused        = optional(bool, false)
    machine_type  = optional(string, "n2-standard-2")
    max_workers   = optional(number, 2)
    quarantine    = optional(bool, false)
    parameters    = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.history == null || can(regex("^-(\\d+[wdhms])+$", var.history.since))
    error_message = "history.since: give a duration before now such as -1d; the body of a schedule never changes, a date would stand still."
  }

  validation {
    condition     = !contains(keys(try(var.history.parameters, {})), "access_token")
    error_message = "history.parameters: leave access_token out; the job is given the reference to the secret of this module."
  }
}

# What is kept, and for how long.

variable "ledger_days" {
  description = "Days for which the ledger is kept. History leaves out what the ledger says is delivered: no row, no memory."
  type        = number
  default     = 400

  validation {
    condition     = var.ledger_days >= 3
    error_message = "ledger_days: at least 3, because TikTok drops repeats for 48 hours only."
  }
}

variable "dead_letter_days" {
  description = "Days for which dead letters (files and messages) are kept; messages for 31 days at most."
  type        = number
  default     = 90

  validation {
    condition     = var.dead_letter_days >= 1
    error_message = "dead_letter_days: at least 1."
  }
}

variable "quarantine_days" {
  description = "Days for which the quarantine keeps original messages: personal data, so no longer than a correction takes."
  type        = number
  default     = 30

  validation {
    condition     = var.quarantine_days >= 1
    error_message = "quarantine_days: at least 1."
  }
}

# Hardening.

variable "kms_key" {
  description = "Cloud KMS key for everything that is stored, in the same region; null: Google's own keys."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key: write projects/P/locations/REGION/keyRings/R/cryptoKeys/K, without a version."
  }

  validation {
    condition     = var.kms_key == null || try(split("/", var.kms_key)[3] == var.region, false)
    error_message = "kms_key: the key must lie in the region of the buckets and jobs."
  }
}

variable "private_ip" {
  description = "Workers without external addresses. Without subnetwork, a network with Cloud NAT is made: TikTok lies outside Google."
  type        = bool
  default     = false
}

variable "subnetwork" {
  description = "Subnetwork of the workers (regions/R/subnetworks/S, or a full URL for a shared VPC); null: the default network, or one made here."
  type        = string
  default     = null

  validation {
    condition     = var.subnetwork == null || can(regex("^(https://www.googleapis.com/compute/v1/projects/[^/]+/)?regions/[^/]+/subnetworks/[^/]+$", var.subnetwork))
    error_message = "subnetwork: write regions/R/subnetworks/S, or https://www.googleapis.com/compute/v1/projects/P/regions/R/subnetworks/S."
  }
}

# Alerts.

variable "notification_channels" {
  description = "Where alerts go: projects/P/notificationChannels/N (gcloud beta monitoring channels list)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "notification_channels: write projects/P/notificationChannels/N."
  }
}

variable "thresholds" {
  description = "When alerts fire; README.md of templates/ explains each."
  type = object({
    backlog_secs        = optional(number, 600)
    delivered_ratio     = optional(number, 0.95)
    delivered_min_count = optional(number, 100)
    rejected            = optional(number, 50)
    undelivered         = optional(number, 0)
    unknown             = optional(number, 0)
    throttled_secs      = optional(number, 300)
    quiet_hours         = optional(number, 6)
  })
  default = {}

  validation {
    condition     = 0 < var.thresholds.delivered_ratio && var.thresholds.delivered_ratio < 1
    error_message = "thresholds.delivered_ratio: a share between 0 and 1, such as 0.95."
  }

  validation {
    condition     = 1 <= var.thresholds.quiet_hours && var.thresholds.quiet_hours <= 23
    error_message = "thresholds.quiet_hours: 1 to 23; Cloud Monitoring looks back a day at most."
  }
}
