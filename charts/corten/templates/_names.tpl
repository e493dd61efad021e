{{/*
Names and labels. The application is called metallb, whatever this chart is called: with a release
of that name every object has the name and the labels it had, and selectors (which can't be changed)
stay as they are.
*/}}
{{- define "corten.name" -}}
{{- .Values.nameOverride | default "metallb" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "corten.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default "metallb" -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Labels that tell this release's objects from others'. */ -}}
{{- define "corten.instance" -}}
app.kubernetes.io/name: {{ include "corten.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "corten.labels" -}}
{{ include "corten.instance" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- /* ServiceAccount of a component: a list of the root and the component's name. */ -}}
{{- define "corten.account" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $account := (index $root.Values $component).serviceAccount -}}
{{- if $account.create -}}
{{- $account.name | default (printf "%s-%s" (include "corten.fullname" $root) $component) -}}
{{- else -}}
{{- $account.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* Secret of the key that speakers share. */ -}}
{{- define "corten.memberlistSecret" -}}
{{- .Values.speaker.secretName | default (printf "%s-memberlist" (include "corten.fullname" .)) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* "true" if speakers know of each other. */ -}}
{{- define "corten.membership" -}}
{{- if and .Values.speaker.enabled .Values.speaker.memberlist.enabled -}}true{{- end -}}
{{- end -}}

{{- /* "true" if webhooks are served. */ -}}
{{- define "corten.webhooks" -}}
{{- if and .Values.controller.enabled (ne .Values.controller.webhookMode "disabled") -}}true{{- end -}}
{{- end -}}

{{- /* What MetalLB would be run as with these values; admission warns of what it would refuse. */ -}}
{{- define "corten.bgpType" -}}
{{- if or .Values.frrk8s.enabled .Values.frrk8s.external -}}frr-k8s
{{- else if .Values.speaker.frr.enabled -}}frr
{{- else -}}native
{{- end -}}
{{- end -}}

{{- /* How often and as what metrics are scraped: of a monitor's values. */ -}}
{{- define "corten.scraping" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Gives a role to components: a list of the root, the role's kind and short name, and them. */ -}}
{{- define "corten.binding" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $name := printf (ternary "%s:%s" "%s-%s" (eq $kind "ClusterRole")) (include "corten.fullname" $root) (index . 2) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- if eq $kind "Role" }}
  namespace: {{ $root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "corten.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  {{- range index . 3 }}
  - kind: ServiceAccount
    name: {{ include "corten.account" (list $root .) }}
    namespace: {{ $root.Release.Namespace }}
  {{- end }}
{{- end -}}

{{- /* Whether the controller takes the Lease; one that only serves webhooks has no need to. */ -}}
{{- define "corten.leaderElection" -}}
{{- if and .Values.controller.leaderElection.enabled (ne .Values.controller.webhookMode "onlywebhook") }}yes{{ end -}}
{{- end -}}
