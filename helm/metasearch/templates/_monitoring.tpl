{{/*
Stop where the cluster has no resource of the Prometheus operator. Takes the root, the value that asked for it, and the
kind. `helm template` knows of no cluster: there --api-versions says what it has.
*/}}
{{- define "metasearch.requireMonitoring" -}}
{{- $root := index . 0 -}}
{{- if not ($root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 2))) -}}
{{- fail (printf "%s is true, and the cluster has no %s (monitoring.coreos.com/v1); install the Prometheus operator's definitions first, or pass --api-versions monitoring.coreos.com/v1/%s to helm template" (index . 1) (index . 2) (index . 2)) -}}
{{- end -}}
{{- end -}}

{{/* Labels and annotations of a monitor. Takes the root, a component, and the values with labels and annotations. */}}
{{- define "metasearch.monitorMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
labels:
  {{- merge (include "metasearch.labels" (list $root (index . 1)) | fromYaml) $values.labels | toYaml | nindent 2 }}
{{- with merge dict $values.annotations $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An endpoint of a monitor. Takes the root, the interval, and whether it is that of the operator. */}}
{{- define "metasearch.endpoint" -}}
{{- $root := index . 0 -}}
port: metrics
path: /metrics
interval: {{ index . 1 }}
# The metrics of a search have its namespace as a label, which is not that of the operator's pod.
honorLabels: true
{{- if and (index . 2) $root.Values.monitoring.tls.secret }}
scheme: https
{{- with $root.Values.monitoring.tls.clientConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The annotations by which a Prometheus without the operator finds pods, as JSON. Takes the root, and the scheme. */}}
{{- define "metasearch.scrapeAnnotations" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.monitoring.podAnnotations -}}
{{- dict "prometheus.io/scrape" "true" "prometheus.io/port" "8081" "prometheus.io/path" "/metrics" "prometheus.io/scheme" (index . 1) | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}
