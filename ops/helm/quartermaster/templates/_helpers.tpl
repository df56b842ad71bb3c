{{- define "quartermaster.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "quartermaster.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "quartermaster.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "quartermaster.selector" -}}
app.kubernetes.io/name: {{ include "quartermaster.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "quartermaster.labels" -}}
{{ include "quartermaster.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "quartermaster.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "quartermaster.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Refuses what the server would refuse, before anything is installed. */}}
{{- define "quartermaster.check" -}}
{{- $secured := and .Values.tls.secretName .Values.auth.tokensSecretName }}
{{- if not (or $secured .Values.insecurePublic) }}
{{- fail "the pod serves on its own address, which needs TLS and tokens: set tls.secretName and auth.tokensSecretName, or say insecurePublic=true where the cluster's network does both" }}
{{- end }}
{{- if and .Values.tls.clientCaKey (not .Values.tls.secretName) }}
{{- fail "tls.clientCaKey is a key of the secret tls.secretName, which is not set" }}
{{- end }}
{{- range $key := list "data_dir" "listen" "metrics_listen" "tls_cert_file" "tls_key_file" "tls_client_ca_file" "tls_client_auth" "tokens_file" "metrics_tls" "metrics_auth" }}
{{- if hasKey $.Values.config $key }}
{{- fail (printf "config.%s is set by the chart; use the chart's own values" $key) }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (include "quartermaster.metricsAuth" .) (not .Values.metrics.serviceMonitor.tokenSecretName) }}
{{- fail "metrics.auth is on: metrics.serviceMonitor.tokenSecretName must name the secret with the scraper's token" }}
{{- end }}
{{- end }}

{{/* Tokens can be asked for only where there are some. */}}
{{- define "quartermaster.metricsAuth" -}}
{{- if and .Values.metrics.auth .Values.auth.tokensSecretName }}true{{ end }}
{{- end }}

{{- define "quartermaster.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "data_dir" "/var/lib/quartermaster/data" }}
{{- $_ := set $config "listen" "0.0.0.0:7070" }}
{{- $_ := set $config "metrics_listen" "0.0.0.0:7071" }}
{{- if .Values.tls.secretName }}
{{- $_ := set $config "tls_cert_file" "/etc/quartermaster/tls/tls.crt" }}
{{- $_ := set $config "tls_key_file" "/etc/quartermaster/tls/tls.key" }}
{{- $_ := set $config "metrics_tls" true }}
{{- if .Values.tls.clientCaKey }}
{{- $_ := set $config "tls_client_ca_file" (printf "/etc/quartermaster/tls/%s" .Values.tls.clientCaKey) }}
{{- $_ := set $config "tls_client_auth" .Values.tls.clientAuth }}
{{- end }}
{{- end }}
{{- if .Values.auth.tokensSecretName }}
{{- $_ := set $config "tokens_file" (printf "/etc/quartermaster/tokens/%s" .Values.auth.tokensKey) }}
{{- $_ := set $config "metrics_auth" (ternary true false (eq "true" (include "quartermaster.metricsAuth" .))) }}
{{- end }}
{{- range $key, $value := $config }}
{{- if kindIs "string" $value }}
{{ $key }} = {{ $value | quote }}
{{- else if kindIs "bool" $value }}
{{ $key }} = {{ $value }}
{{- else if kindIs "float64" $value }}
{{ $key }} = {{ if eq $value (float64 (int64 $value)) }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- else if or (kindIs "int" $value) (kindIs "int64" $value) }}
{{ $key }} = {{ $value }}
{{- else }}
{{- fail (printf "config.%s is no text, number or truth value" $key) }}
{{- end }}
{{- end }}
{{- end }}
