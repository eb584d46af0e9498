"""For those who write connections; without Beam.

In: a connection with messages, cases or projections. Out: previews, results, findings and differences.
"""

from pipeline.authoring.advice import advise
from pipeline.authoring.cases import CaseResult, cases_of, run_cases
from pipeline.authoring.check_report import CheckReport, ProbeReply, TokenState
from pipeline.authoring.diff import Change, Differences, FieldDifference, compare
from pipeline.authoring.junit import junit_report
from pipeline.authoring.lint import lint_mappings
from pipeline.authoring.preview import ExplainedPreview, Explanation, Preview, previews
from pipeline.authoring.probe import send_test_events
from pipeline.authoring.projections import SDK_EVENT_FIELDS, SDK_PRODUCT_FIELDS, import_projections
from pipeline.authoring.sdk_hashes import SdkNames

__all__ = [
    "CaseResult",
    "Change",
    "CheckReport",
    "Differences",
    "ExplainedPreview",
    "Explanation",
    "FieldDifference",
    "Preview",
    "ProbeReply",
    "SDK_EVENT_FIELDS",
    "SDK_PRODUCT_FIELDS",
    "SdkNames",
    "TokenState",
    "advise",
    "cases_of",
    "compare",
    "import_projections",
    "junit_report",
    "lint_mappings",
    "previews",
    "run_cases",
    "send_test_events",
]
