"""The GraphQL documents that we send.

Only operations, fields and arguments that official clients ask for are used, so that every server which serves those
knows these. Sources: `core/api/graphql/*.graphql` and `wandb/apis/public/{runs,files}.py` of wandb 0.31. Comments name
what is easily taken wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass


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

# `name` is the run id; a variable that is null leaves the stored value as it is.
UPSERT_BUCKET = Document(
    "UpsertBucket",
    """
mutation UpsertBucket(
  $id: String, $name: String, $project: String, $entity: String, $groupName: String, $description: String,
  $displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String, $debug: Boolean,
  $program: String, $repo: String, $jobType: String, $state: String, $sweep: String, $tags: [String!],
  $summaryMetrics: JSONString
) {
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
  }
}
""",
)

RUN_RESUME_STATUS = Document(
    "RunResumeStatus",
    """
query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    id name
    entity { id name }
    bucket(name: $name, missingOk: true) {
      id name displayName tags notes config summaryMetrics
      historyLineCount eventsLineCount logLineCount historyTail eventsTail
      wandbConfig(keys: ["t"])
    }
  }
}
""",
)

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

CREATE_RUN_FILES = Document(
    "CreateRunFiles",
    """
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: $project, runName: $run, files: $files}) {
    runID
    uploadHeaders
    files { name uploadUrl }
  }
}
""",
)

RUN_FILES = Document(
    "RunFiles",
    """
query RunFiles(
  $project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int = 50,
  $fileNames: [String] = [], $upload: Boolean = false, $pattern: String
) {
  project(name: $project, entityName: $entity) {
    run(name: $name) {
      fileCount
      files(names: $fileNames, after: $fileCursor, first: $fileLimit, pattern: $pattern) {
        edges {
          node { id name url(upload: $upload) sizeBytes md5 }
          cursor
        }
        pageInfo { endCursor hasNextPage }
      }
    }
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

HISTORY_KEYS = Document(
    "RunHistoryKeys",
    """
query RunHistoryKeys($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { historyKeys }
  }
}
""",
)

RUN = Document(
    "Run",
    """
query Run($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) {
      id name displayName state tags group jobType commit description notes sweepName
      config summaryMetrics historyLineCount createdAt heartbeatAt
    }
  }
}
""",
)
