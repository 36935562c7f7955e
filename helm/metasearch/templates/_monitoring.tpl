{{/* Fails where the cluster lacks the definitions of Prometheus' operator. Takes the root and the value that asks for them. */}}
{{- define "metasearch.requireMonitoring" -}}
{{- $root := index . 0 -}}
{{- if not ($root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") -}}
{{- fail (printf "%s is true, and the cluster has no monitoring.coreos.com/v1: install the definitions of Prometheus' operator first, or set it to false (helm template, which asks no cluster, takes --api-versions monitoring.coreos.com/v1)" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/*
Labels and annotations of an object for Prometheus' operator, with those that a person has added for it. Takes the root, a
component, and values with labels and annotations.
*/}}
{{- define "metasearch.monitoringMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
labels:
  {{- toYaml (merge (include "metasearch.labels" (list $root (index . 1)) | fromYaml) $values.labels) | nindent 2 }}
{{- with merge dict $values.annotations $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
