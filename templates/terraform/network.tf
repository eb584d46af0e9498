# Workers without external addresses reach Google's APIs through Private Google Access, and TikTok through Cloud NAT.
locals {
  makes_network = var.private_ip && var.subnetwork == null
  subnetwork    = local.makes_network ? "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers[0].name}" : var.subnetwork
}

resource "google_compute_network" "workers" {
  count = local.makes_network ? 1 : 0

  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.api]
}

resource "google_compute_subnetwork" "workers" {
  count = local.makes_network ? 1 : 0

  name                     = "${var.name}-workers"
  network                  = google_compute_network.workers[0].id
  region                   = var.region
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true
}

# Workers of one job talk to each other on these two ports; nothing else comes in.
resource "google_compute_firewall" "workers" {
  count = local.makes_network ? 1 : 0

  name        = "${var.name}-workers"
  network     = google_compute_network.workers[0].id
  direction   = "INGRESS"
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}

resource "google_compute_router" "workers" {
  count = local.makes_network ? 1 : 0

  name    = var.name
  network = google_compute_network.workers[0].id
  region  = var.region
}

resource "google_compute_router_nat" "workers" {
  count = local.makes_network ? 1 : 0

  name                               = var.name
  router                             = google_compute_router.workers[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"

  subnetwork {
    name                    = google_compute_subnetwork.workers[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
