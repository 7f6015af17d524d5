{{- define "gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "gateway.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gateway.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Call with (list $ "component"). */ -}}
{{- define "gateway.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "gateway.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "gateway.labels" -}}
{{- $root := index . 0 -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "gateway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The limits of `restricted` Pod Security. Call with (list UID GID). */ -}}
{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ index . 0 }}
runAsGroup: {{ index . 1 }}
fsGroup: {{ index . 1 }}
# Without it, the kubelet changes the owner of every file at every start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "gateway.tlsSecret" -}}
{{- if .Values.tls.secretName -}}
{{ .Values.tls.secretName }}
{{- else if .Values.tls.certificate.create -}}
{{ include "gateway.fullname" . }}-tls
{{- else -}}
{{ fail "tls.enabled needs tls.secretName, or tls.certificate.create" }}
{{- end -}}
{{- end }}

{{- define "gateway.redisUrl" -}}
{{- if .Values.redis.url -}}
{{ .Values.redis.url }}
{{- else if .Values.redis.bundled.enabled -}}
redis://{{ include "gateway.fullname" . }}-redis:6379
{{- end -}}
{{- end }}

{{- define "gateway.bundledRedis" -}}
{{- if and .Values.redis.bundled.enabled (not .Values.redis.url) -}}true{{- end -}}
{{- end }}

{{- define "gateway.replicasForLimits" -}}
{{- if .Values.replicasForLimits -}}
{{ .Values.replicasForLimits }}
{{- else if .Values.autoscaling.enabled -}}
{{ .Values.autoscaling.minReplicas }}
{{- else if .Values.keda.enabled -}}
{{ .Values.keda.minReplicas }}
{{- else -}}
{{ max 1 (int .Values.replicaCount) }}
{{- end -}}
{{- end }}

{{- /* gateway.yaml: configText as it is, else config with what the chart adds to it, else the file of the chart. */ -}}
{{- define "gateway.config" -}}
{{- if .Values.configText -}}
{{ .Values.configText }}
{{- else if .Values.config -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.includes -}}
{{- $_ := set $config "include" (append (without (default list $config.include) "routes.d") "routes.d") -}}
{{- end -}}
{{- if .Values.tls.enabled -}}
{{- $tls := dict "cert" "/etc/tls/tls.crt" "key" "/etc/tls/tls.key" -}}
{{- $config = mergeOverwrite (dict "entrypoint" (dict "tls" $tls)) $config -}}
{{- end -}}
{{ toYaml $config }}
{{- else -}}
{{ .Files.Get "files/gateway.yaml" }}
{{- end -}}
{{- end }}

{{- /* Environment variables in the order of their names; text only, as Kubernetes has it. */ -}}
{{- define "gateway.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "gateway.envFrom" -}}
{{- range . }}
- secretRef: { name: {{ . | quote }} }
{{- end }}
{{- end }}

{{- /* Shipped rules know the gateways as job myesi-api. */ -}}
{{- define "gateway.withJob" -}}
{{- $text := index . 0 -}}
{{- $job := index . 1 -}}
{{- $text | replace "job=\"myesi-api\"" (printf "job=%q" $job) | replace "job=\\\"myesi-api\\\"" (printf "job=\\\"%s\\\"" $job) -}}
{{- end }}
