"""The GraphQL documents that we send.

Only operations, fields and arguments that official clients ask for are used, so that every server which serves those
knows these. Sources: `core/api/graphql/*.graphql` and `wandb/apis/public/{runs,files}.py` of wandb 0.31. Comments name
what is easily taken wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Document:
    """A GraphQL document and the name of the one operation in it."""

    name: str
    text: str


VIEWER = Document(
    "Viewer",
    """
query Viewer {
  viewer { id entity username email flags }
}
""",
)

SERVER_FEATURES = Document(
    "ServerFeaturesQuery",
    """
query ServerFeaturesQuery {
  serverInfo { features { name isEnabled } }
}
""",
)

_UPSERT_VARIABLES = """
  $id: String, $name: String, $project: String, $entity: String, $groupName: String, $description: String,
  $displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String, $debug: Boolean,
  $program: String, $repo: String, $jobType: String, $state: String, $sweep: String, $tags: [String!],
  $summaryMetrics: JSONString"""
# `name` is the run id; a variable that is null leaves the stored value as it is.
_UPSERT = """
  upsertBucket(input: {
    id: $id, name: $name, modelName: $project, entityName: $entity, groupName: $groupName,
    description: $description, displayName: $displayName, notes: $notes, commit: $commit, config: $config,
    host: $host, debug: $debug, jobProgram: $program, jobRepo: $repo, jobType: $jobType, state: $state,
    sweep: $sweep, tags: $tags, summaryMetrics: $summaryMetrics
  }) {
    bucket {
      id name displayName description config sweepName historyLineCount
      project { id name entity { id name } }
    }
    inserted
  }"""
_FILES_MADE = "{ runID uploadHeaders files { name uploadUrl } }"

UPSERT_BUCKET = Document("UpsertBucket", f"mutation UpsertBucket({_UPSERT_VARIABLES}\n) {{{_UPSERT}\n}}")

# The same, and where to upload files of the run: GraphQL runs the parts of a mutation one after another.
UPSERT_BUCKET_WITH_FILES = Document(
    "UpsertBucket",
    f"""mutation UpsertBucket({_UPSERT_VARIABLES},
  $of: String!, $in: String!, $run: String!, $files: [String!]!
) {{{_UPSERT}
  createRunFiles(input: {{
    entityName: $of, projectName: $in, runName: $run, files: $files
  }}) {_FILES_MADE}
}}""",
)

CREATE_RUN_FILES = Document(
    "CreateRunFiles",
    f"""
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {{
  createRunFiles(input: {{entityName: $entity, projectName: $project, runName: $run, files: $files}}) {_FILES_MADE}
}}
""",
)


# What the official client asks of a run before it resumes it.
_HELD = """id name displayName tags notes config summaryMetrics
    historyLineCount eventsLineCount logLineCount historyTail eventsTail wandbConfig(keys: ["t"])"""
_FILE_PAGE = "edges { node { id name sizeBytes md5 } } pageInfo { endCursor hasNextPage }"

RUN_STATUS = Document(
    "RunResumeStatus",
    f"""
query RunResumeStatus($project: String, $entity: String, $name: String!) {{
  model(name: $project, entityName: $entity) {{
    id name entity {{ id name }}
    bucket(name: $name, missingOk: true) {{ {_HELD} }}
  }}
}}
""",
)


@cache
def run_statuses(count: int) -> Document:
    """What the server holds of `count` runs: the official client's question, once or side by side under aliases.

    Run `n` is asked for with `$project<n>`, `$entity<n>` and `$name<n>` and answered under `model<n>`; the first
    without number. Asked for as well are the run's state and the first page of its files. No type is named: that of a
    run is called otherwise on some servers.
    """
    variables, fields = [], []
    for number in ["", *range(1, count)]:
        variables.append(f"$project{number}: String, $entity{number}: String, $name{number}: String!")
        alias = f"model{number}: " if number else ""
        fields.append(
            f"  {alias}model(name: $project{number}, entityName: $entity{number}) {{ bucket(name: $name{number}, "
            f"missingOk: true) {{\n    {_HELD}\n    state files(first: $files) {{ {_FILE_PAGE} }}\n  }} }}"
        )
    listed, asked = ",\n  ".join(variables), "\n".join(fields)
    return Document("RunResumeStatus", f"query RunResumeStatus(\n  {listed},\n  $files: Int!\n) {{\n{asked}\n}}")


# Every such request is a message to somebody: this is the one mutation that must not be repeated.
ALERT = Document(
    "NotifyScriptableRunAlert",
    """
mutation NotifyScriptableRunAlert(
  $entityName: String!, $projectName: String!, $runName: String!, $title: String!, $text: String!,
  $severity: AlertSeverity = INFO, $waitDuration: Duration
) {
  notifyScriptableRunAlert(input: {
    entityName: $entityName, projectName: $projectName, runName: $runName, title: $title, text: $text,
    severity: $severity, waitDuration: $waitDuration
  }) { success }
}
""",
)

RUN_FILES = Document(
    "RunFiles",
    f"""
query RunFiles($project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int = 50) {{
  project(name: $project, entityName: $entity) {{
    run(name: $name) {{ files(after: $fileCursor, first: $fileLimit) {{ {_FILE_PAGE} }} }}
  }}
}}
""",
)

# For servers that know no pages.
RUN_FILES_AT_ONCE = Document(
    "RunFiles",
    """
query RunFiles($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { files { edges { node { id name sizeBytes md5 } } } }
  }
}
""",
)

# Where a project's files can be fetched tells where its files are kept.
SOME_FILE = Document(
    "SomeFile",
    """
query SomeFile($project: String!, $entity: String) {
  project(name: $project, entityName: $entity) {
    runs(first: 3) {
      edges { node { files(first: 1) { edges { node { directUrl } } } } }
    }
  }
}
""",
)

# What `run.console_logs()` of the official client asks.
CONSOLE_TAIL = Document(
    "RunConsoleLogTail",
    """
query RunConsoleLogTail($entity: String!, $project: String!, $run: String!, $last: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { logLineCount logLines(last: $last) { edges { node { number timestamp line } } } }
  }
}
""",
)

# `maxStep` is exclusive; `samples` is the largest number of rows that come back.
HISTORY_PAGE = Document(
    "HistoryPage",
    """
query HistoryPage(
  $entity: String!, $project: String!, $run: String!, $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}
""",
)
