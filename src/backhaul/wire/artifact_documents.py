"""The GraphQL documents for artifacts; the same rule as in `documents`: only what official clients ask."""

from __future__ import annotations

from backhaul.wire.documents import Document

CREATE_ARTIFACT = Document(
    "CreateArtifact",
    """
mutation CreateArtifact($input: CreateArtifactInput!) {
  createArtifact(input: $input) {
    artifact { id state artifactSequence { latestArtifact { id } } }
  }
}
""",
)

CREATE_ARTIFACT_MANIFEST = Document(
    "CreateArtifactManifest",
    """
mutation CreateArtifactManifest(
  $artifactID: ID!, $baseArtifactID: ID, $name: String!, $digest: String!, $entityName: String!,
  $projectName: String!, $runName: String!, $manifestType: ArtifactManifestType!, $includeUpload: Boolean!
) {
  createArtifactManifest(input: {
    artifactID: $artifactID, baseArtifactID: $baseArtifactID, name: $name, digest: $digest,
    entityName: $entityName, projectName: $projectName, runName: $runName, type: $manifestType
  }) {
    artifactManifest {
      id
      file { id uploadUrl @include(if: $includeUpload) uploadHeaders @include(if: $includeUpload) }
    }
  }
}
""",
)

UPDATE_ARTIFACT_MANIFEST = Document(
    "UpdateArtifactManifest",
    """
mutation UpdateArtifactManifest(
  $artifactManifestID: ID!, $digest: String, $baseArtifactID: ID, $includeUpload: Boolean!
) {
  updateArtifactManifest(input: {
    artifactManifestID: $artifactManifestID, digest: $digest, baseArtifactID: $baseArtifactID
  }) {
    artifactManifest {
      id
      file { id uploadUrl @include(if: $includeUpload) uploadHeaders @include(if: $includeUpload) }
    }
  }
}
""",
)

CREATE_ARTIFACT_FILES = Document(
    "CreateArtifactFiles",
    """
mutation CreateArtifactFiles(
  $artifactFiles: [CreateArtifactFileSpecInput!]!, $storageLayout: ArtifactStorageLayout!
) {
  createArtifactFiles(input: {artifactFiles: $artifactFiles, storageLayout: $storageLayout}) {
    files {
      edges {
        node {
          storagePath uploadUrl uploadHeaders
          uploadMultipartUrls { uploadID uploadUrlParts { partNumber uploadUrl } }
          artifact { id }
        }
      }
    }
  }
}
""",
)

COMPLETE_MULTIPART_UPLOAD = Document(
    "CompleteMultipartUploadArtifact",
    """
mutation CompleteMultipartUploadArtifact(
  $completeMultipartAction: CompleteMultipartAction!, $completedParts: [UploadPartsInput!]!, $artifactID: ID!,
  $storagePath: String!, $uploadID: String!
) {
  completeMultipartUploadArtifact(input: {
    completeMultipartAction: $completeMultipartAction, completedParts: $completedParts, artifactID: $artifactID,
    storagePath: $storagePath, uploadID: $uploadID
  }) { digest }
}
""",
)

COMMIT_ARTIFACT = Document(
    "CommitArtifact",
    """
mutation CommitArtifact($artifactID: ID!) {
  commitArtifact(input: {artifactID: $artifactID}) { artifact { id digest } }
}
""",
)

USE_ARTIFACT = Document(
    "UseArtifact",
    """
mutation UseArtifact($input: UseArtifactInput!) {
  useArtifact(input: $input) { artifact { id } }
}
""",
)

CLIENT_ID_MAPPING = Document(
    "ClientIDMapping",
    """
query ClientIDMapping($clientID: ID!) {
  clientIDMapping(clientID: $clientID) { serverID }
}
""",
)

ARTIFACT_BY_ID = Document(
    "ArtifactByID",
    """
query ArtifactByID($id: ID!) {
  artifact(id: $id) { id state digest }
}
""",
)

# Part of the official client's question of this name, for servers that go by the name.
ARTIFACT_PROJECT = Document(
    "ArtifactByID",
    """
query ArtifactByID($id: ID!) {
  artifact(id: $id) {
    artifactSequence { project { name entity { name } } }
  }
}
""",
)
