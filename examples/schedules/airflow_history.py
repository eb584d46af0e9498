"""Airflow or Cloud Composer: every night, what happened since the night before and TikTok has not yet.

Starts the Flex Template `history` and waits for its end; the parameters are the flags of `tiktok-events run`. Needs
apache-airflow-providers-google and apache-airflow-providers-apache-beam (Cloud Composer has both). Copy it into the
folder of DAGs and replace the values of the example project by those that `terraform output` prints.
"""

import datetime

import pendulum
from airflow import DAG
from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator

PROJECT = "acme-prod"
REGION = "europe-west1"
TEMPLATE = "gs://acme-prod-tiktok-events-templates/templates/0.2.0/history.json"
IMAGE = "europe-west1-docker.pkg.dev/acme-prod/tiktok-events/tiktok-events:0.2.0"
WORKER = "tiktok-events-worker@acme-prod.iam.gserviceaccount.com"
LAUNCHER = "tiktok-events-launcher@acme-prod.iam.gserviceaccount.com"

PARAMETERS = {
    "connection": "gs://acme-prod-tiktok-events-templates/connections/connection-7fcfb1f4d700.yaml",
    # A reference, never the token: parameters are shown to whoever may look at the job.
    "access_token": "projects/acme-prod/secrets/tiktok-events-token/versions/latest",
    "input": "gs://acme-events/mparticle/**",
    "since": "-1d",
    "timezone": "Europe/Berlin",
    "date_partition": "true",
    "skip_delivered": "true",
    "ledger": "gs://acme-prod-tiktok-events-ledger/ledger",
    "dead_letters": "gs://acme-prod-tiktok-events-dead-letters/dead-letters",
}

with DAG(
    dag_id="tiktok_events_history",
    description="Commerce events of the last day to TikTok",
    schedule="0 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    # Nights that were missed are not made up for one by one: the ledger knows what is left, so one run with a longer
    # window does it (`since: -7d`).
    catchup=False,
    max_active_runs=1,
    tags=["tiktok", "mparticle"],
) as dag:
    DataflowStartFlexTemplateOperator(
        task_id="send_yesterday",
        project_id=PROJECT,
        location=REGION,
        # The account that launches needs roles/iam.serviceAccountTokenCreator on it for Airflow's own account.
        impersonation_chain=LAUNCHER,
        body={
            "launchParameter": {
                "jobName": "tiktok-events-history",
                "containerSpecGcsPath": TEMPLATE,
                "parameters": PARAMETERS,
                "environment": {
                    "serviceAccountEmail": WORKER,
                    "sdkContainerImage": IMAGE,
                    "tempLocation": "gs://acme-prod-tiktok-events-temp/temp",
                    "stagingLocation": "gs://acme-prod-tiktok-events-temp/staging",
                    "machineType": "n2-standard-2",
                    "maxWorkers": 2,
                },
            }
        },
        # Dataflow then refuses a second job while one is active, also one that Cloud Scheduler has started.
        append_job_name=False,
        expected_terminal_state="JOB_STATE_DONE",
        # Waits without a worker of Airflow's; needs a triggerer.
        deferrable=True,
        # Running a window again is safe: what is delivered is skipped.
        retries=1,
        retry_delay=datetime.timedelta(minutes=15),
    )
