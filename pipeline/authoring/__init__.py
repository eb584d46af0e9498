"""For those who write connections; without Beam.

In: a connection with messages, cases or projections. Out: previews, results, findings and differences.
"""

from pipeline.authoring.advice import advise
from pipeline.authoring.cases import CaseResult, cases_of, run_cases
from pipeline.authoring.check_report import CheckReport, Probe, TokenState
from pipeline.authoring.diff import Change, Differences, Field, compare
from pipeline.authoring.junit import junit_report
from pipeline.authoring.lint import lint_mappings
from pipeline.authoring.preview import ExplainedPreview, Explanation, Preview, previews
from pipeline.authoring.probe import send_test_events
from pipeline.authoring.projections import EVENT_FIELDS, PRODUCT_FIELDS, import_projections
from pipeline.authoring.sdk_hashes import Names

__all__ = [
    "CaseResult",
    "Change",
    "CheckReport",
    "Differences",
    "EVENT_FIELDS",
    "ExplainedPreview",
    "Explanation",
    "Field",
    "Names",
    "PRODUCT_FIELDS",
    "Preview",
    "Probe",
    "TokenState",
    "advise",
    "cases_of",
    "compare",
    "import_projections",
    "junit_report",
    "lint_mappings",
    "previews",
    "send_test_events",
    "run_cases",
]
