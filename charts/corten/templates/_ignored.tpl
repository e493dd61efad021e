{{/* Values without effect, and what they are unless set. */}}
{{- define "corten.withoutEffect" -}}
speaker.bgpDebounceTimeout: null
speaker.startupProbe: {enabled: true, failureThreshold: 30, periodSeconds: 5}
speaker.frr: {enabled: false, image: {repository: "", tag: "", pullPolicy: null}, metricsPort: 9121, resources: {}}
speaker.reloader: {resources: {}}
speaker.frrMetrics: {resources: {}}
speaker.initContainers: {cpFrrFiles: {resources: {}}, cpReloader: {resources: {}}, cpMetrics: {resources: {}}}
frrk8s.enabled: false
frr-k8s: {prometheus: {serviceMonitor: {enabled: false}}}
{{- end -}}

{{/* Those of them that are set, one a line. */}}
{{- define "corten.ignored" -}}
{{- $set := list -}}
{{- range $path, $default := include "corten.withoutEffect" . | fromYaml }}
{{- $value := $.Values -}}
{{- range splitList "." $path }}
{{- $value = ternary (index $value .) nil (kindIs "map" $value) -}}
{{- end }}
{{- if ne (toJson $value) (toJson $default) }}{{ $set = append $set $path }}{{ end }}
{{- end }}
{{- join "\n" $set -}}
{{- end -}}
