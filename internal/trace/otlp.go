package trace

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Wanted reports whether the environment asks for spans to be exported, by the
// variables of OpenTelemetry's specification.
func Wanted(env func(string) string) bool {
	if env("OTEL_SDK_DISABLED") == "true" || env("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

const exportLimit = 30 * time.Second

// Export sends spans by OTLP over HTTP to where OTEL_EXPORTER_OTLP_ENDPOINT and its
// like say.
func Export(ctx context.Context, root *Span, version string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if p := os.Getenv(name); p != "" && p != "http/protobuf" {
			return fmt.Errorf("export spans: %s=%s: only http/protobuf is spoken", name, p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, exportLimit)
	defer cancel()
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	res, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "kiln"),
		attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(res))
	send(ctx, provider.Tracer("kiln"), root)
	if err := provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	return nil
}

func send(ctx context.Context, t trace.Tracer, s *Span) {
	ctx, span := t.Start(ctx, s.Name, trace.WithTimestamp(s.Start))
	for _, a := range s.Attrs {
		switch v := a.Value.(type) {
		case string:
			span.SetAttributes(attribute.String(a.Key, v))
		case int64:
			span.SetAttributes(attribute.Int64(a.Key, v))
		case bool:
			span.SetAttributes(attribute.Bool(a.Key, v))
		}
	}
	span.SetAttributes(attribute.String("kiln.kind", s.Kind))
	if s.Error != "" {
		span.SetStatus(codes.Error, s.Error)
	}
	for _, c := range s.Children {
		send(ctx, t, c)
	}
	span.End(trace.WithTimestamp(s.End))
}
