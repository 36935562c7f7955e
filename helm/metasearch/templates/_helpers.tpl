{{- define "metasearch.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Of what is in a namespace. Short enough for what is added to it. */}}
{{- define "metasearch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "metasearch.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "metasearch.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of what is in no namespace: releases of one name in several namespaces do not meet. Takes the root and a part. */}}
{{- define "metasearch.clusterName" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s.%s" (include "metasearch.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- end -}}

{{- define "metasearch.selector" -}}
app.kubernetes.io/name: {{ include "metasearch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Takes the root and a component. */}}
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

{{/* Labels and annotations of an object. Takes the root, a component, and annotations of its own. */}}
{{- define "metasearch.metadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "metasearch.labels" (list $root (index . 1)) | nindent 2 }}
{{- with merge dict (index . 2) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The namespaces with workers' accounts, as JSON: also those that are watched, unless all are. */}}
{{- define "metasearch.namespaces" -}}
{{- .Values.watch.namespaces | default (list .Release.Namespace) | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- define "metasearch.operatorAccount" -}}
{{- .Values.operator.serviceAccount.name | default (include "metasearch.fullname" .) -}}
{{- end -}}

{{- define "metasearch.operatorSubject" -}}
- kind: ServiceAccount
  name: {{ include "metasearch.operatorAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Takes the root and the image. */}}
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

{{/* What `python -m metasearch_operator --config` reads. */}}
{{- define "metasearch.config" -}}
namespaces: {{ .Values.watch.all | ternary (list) (include "metasearch.namespaces" . | fromJsonArray) | toJson }}
worker:
  image: {{ include "metasearch.image" (list . .Values.worker.image) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  imagePullSecrets: {{ .Values.image.pullSecrets | toJson }}
  serviceAccount: {{ .Values.worker.serviceAccount.name | quote }}
  priorityClass: {{ .Values.worker.priorityClassName | default nil | toJson }}
  storageSecret: {{ .Values.worker.storageSecret | default nil | toJson }}
  labels: {{ .Values.worker.labels | toJson }}
  annotations: {{ .Values.worker.annotations | toJson }}
  env: {{ .Values.worker.env | toJson }}
  resources: {{ .Values.worker.resources | toJson }}
  nodeLostSeconds: {{ .Values.worker.nodeLostSeconds | int }}
{{- end -}}

{{/* What the operator may do with what is in the namespaces that it watches. */}}
{{- define "metasearch.operatorRules" -}}
- apiGroups: [metasearch.dev]
  resources: [metasearches]
  verbs: [get, list, watch]
- apiGroups: [metasearch.dev]
  resources: [metasearches/status, metatrials/status]
  verbs: [patch]
# Lets it name a search as the owner whose deletion waits for what it owns, where a cluster checks that.
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
  verbs: [get, list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, list, patch]
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end -}}

{{/* What a worker may do. The admission policies narrow its writes to what is its own. */}}
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
