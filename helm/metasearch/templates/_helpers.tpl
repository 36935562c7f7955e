{{- define "metasearch.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of namespaced objects. Cut at 50, so that suffixes fit into the 63 characters of a label. */}}
{{- define "metasearch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "metasearch.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "metasearch.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
The name of cluster-wide objects. It contains the namespace, for releases of one name in several namespaces must not
claim the same object. Takes the root and a part.
*/}}
{{- define "metasearch.clusterName" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s.%s" (include "metasearch.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- end -}}

{{- define "metasearch.selector" -}}
app.kubernetes.io/name: {{ include "metasearch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The labels of an object. Takes the root and a component. */}}
{{- define "metasearch.labels" -}}
{{- $root := index . 0 -}}
{{- $labels := dict
  "app.kubernetes.io/name" (include "metasearch.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/component" (index . 1)
  "app.kubernetes.io/part-of" "metasearch"
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
-}}
{{- toYaml (merge $labels $root.Values.commonLabels) -}}
{{- end -}}

{{/* Labels and annotations of an object. Takes the root, a component, annotations and maybe labels of its own. */}}
{{- define "metasearch.metadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- $own := include "metasearch.labels" (list $root (index . 1)) | fromYaml }}
  {{- toYaml (merge dict $own (index (append . dict) 3)) | nindent 2 }}
{{- with merge dict (index . 2) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The namespaces with service accounts of workers, as JSON. Unless watch.all is set, they are the watched ones. */}}
{{- define "metasearch.namespaces" -}}
{{- .Values.watch.namespaces | default (list .Release.Namespace) | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The name of the operator's service account. */}}
{{- define "metasearch.operatorAccount" -}}
{{- .Values.operator.serviceAccount.name | default (include "metasearch.fullname" .) -}}
{{- end -}}

{{/* The operator, as the subject of a binding. */}}
{{- define "metasearch.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ include "metasearch.operatorAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* The reference of an image; a digest takes precedence over a tag. Takes the root and the image. */}}
{{- define "metasearch.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $image.registry | default $root.Values.image.registry -}}{{ . }}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ $image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The number of the pods' user and groups; nothing where the cluster gives it. */}}
{{- define "metasearch.userId" -}}
{{- if not (kindIs "invalid" .Values.podSecurity.userId) }}{{ int64 .Values.podSecurity.userId }}{{ end -}}
{{- end -}}

{{/* The configuration file of `python -m metasearch_operator --config`. */}}
{{- define "metasearch.config" -}}
namespaces: {{ .Values.watch.all | ternary (list) (include "metasearch.namespaces" . | fromJsonArray) | toJson }}
worker:
  image: {{ include "metasearch.image" (list . .Values.worker.image) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  imagePullSecrets: {{ .Values.image.pullSecrets | toJson }}
  serviceAccount: {{ .Values.worker.serviceAccount.name | quote }}
  runtimeClass: {{ .Values.worker.runtimeClassName | default nil | toJson }}
  userId: {{ include "metasearch.userId" . | default "null" }}
  priorityClass: {{ .Values.worker.priorityClassName | default nil | toJson }}
  storageSecret: {{ .Values.worker.storageSecret | default nil | toJson }}
  labels: {{ .Values.worker.labels | toJson }}
  annotations: {{ merge dict .Values.worker.annotations (include "metasearch.scrapeAnnotations" (list . "http") | fromJson) | toJson }}
  env: {{ .Values.worker.env | toJson }}
  resources: {{ .Values.worker.resources | toJson }}
  nodeLostSeconds: {{ .Values.worker.nodeLostSeconds | int }}
{{- with .Values.monitoring.tls }}
{{- if and (not .secret) (or .clientAuthority .clientConfig) }}
{{- fail "monitoring.tls.clientAuthority or clientConfig is set, and monitoring.tls.secret is empty, so that metrics would be served over HTTP to everybody; name the secret, or leave them out" }}
{{- end }}
{{- end }}
{{- if .Values.monitoring.tls.secret }}
metricsTls:
  certificate: /etc/metasearch-tls/tls.crt
  key: /etc/metasearch-tls/tls.key
  {{- if .Values.monitoring.tls.clientAuthority }}
  clientAuthority: /etc/metasearch-tls/ca.crt
  {{- end }}
{{- end }}
{{- end -}}

{{/* The operator's rights in the namespaces that it watches. docs/install.md says why it needs each. */}}
{{- define "metasearch.operatorRules" -}}
- apiGroups: [metasearch.dev]
  resources: [metasearches]
  verbs: [get, list, watch]
- apiGroups: [metasearch.dev]
  resources: [metasearches/status, metatrials/status]
  verbs: [patch]
# For blockOwnerDeletion in owner references, where the cluster's OwnerReferencesPermissionEnforcement checks it.
- apiGroups: [metasearch.dev]
  resources: [metasearches/finalizers]
  verbs: [update]
- apiGroups: [metasearch.dev]
  resources: [metatrials]
  verbs: [get, list, watch, create]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end -}}

{{/* A worker's rights. The admission policies restrict its writes to its own trials and lease. */}}
{{- define "metasearch.workerRules" -}}
- apiGroups: [metasearch.dev]
  resources: [metasearches]
  verbs: [get]
- apiGroups: [metasearch.dev]
  resources: [metatrials]
  verbs: [get, list]
- apiGroups: [metasearch.dev]
  resources: [metatrials/status]
  verbs: [patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create, patch, get]
{{- end -}}
