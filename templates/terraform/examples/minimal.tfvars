# The least that must be said: a stream, without history, with Google's keys and external addresses.
#   terraform apply -var-file examples/minimal.tfvars
project_id      = "acme-prod"
region          = "europe-west1"
connection_file = "../../examples/connection.yaml"

# After image, template and token are there:
# start_stream = true

notification_channels = []
