using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Section <c>Telemetry</c>. Metrics are always collected and served on /metrics. Traces cost CPU on every message, so
/// none are made unless somebody listens: an OTLP endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) or <see cref="Traces"/>.
/// </summary>
public sealed class TelemetryOptions
{
    public const string Section = "Telemetry";

    /// <summary>Make traces even without OTEL_EXPORTER_OTLP_ENDPOINT (then sent to http://localhost:4317). Default false.</summary>
    public bool Traces { get; set; }

    /// <summary>Share of the SMTP sessions that are traced, 0 to 1. A message keeps the choice made at its entry. Default 1.</summary>
    [Range(0.0, 1.0)]
    public double TraceRatio { get; set; } = 1;

    /// <summary>Further meters to collect, e.g. "Microsoft.Orleans", "Npgsql". Default none: they are not free.</summary>
    public IList<string> Meters { get; init; } = [];
}

[OptionsValidator]
internal sealed partial class TelemetryOptionsValidator : IValidateOptions<TelemetryOptions>;
