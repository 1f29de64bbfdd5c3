using System.Diagnostics.Metrics;
using System.Reflection;
using MailPipeline.Delivery;
using MailPipeline.Ingress;
using MailPipeline.Mailbox;
using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>
/// All instruments of the product, made by its own telemetry classes and heard by a listener. Many show nothing on /metrics
/// before what they count has happened, and some of that happens only in disasters.
/// </summary>
internal static class Instruments
{
    private static readonly Assembly[] s_assemblies =
    [
        typeof(IngressHosting).Assembly, typeof(QueueHosting).Assembly, typeof(DeliveryHosting).Assembly, typeof(MailboxHosting).Assembly,
        typeof(MailDatabase).Assembly, typeof(MailBus).Assembly,
    ];

    /// <summary>Names as the Prometheus exporter writes them, derived from name, unit and kind; one that two instruments have is there twice.</summary>
    public static IReadOnlyList<string> PrometheusNames()
    {
        var names = new List<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name.StartsWith("MailPipeline.", StringComparison.Ordinal))
                names.AddRange(PrometheusNames(instrument));
        };
        listener.Start();
        using var services = new ServiceCollection().AddMetrics().AddSingleton(TimeProvider.System).BuildServiceProvider();
        var telemetries = s_assemblies.SelectMany(assembly => assembly.GetTypes())
            .Where(type => type is { IsClass: true, IsAbstract: false } && type.Name.EndsWith("Telemetry", StringComparison.Ordinal)).ToList();
        foreach (var type in telemetries)
            (ActivatorUtilities.CreateInstance(services, type) as IDisposable)?.Dispose();
        return names;
    }

    private static IEnumerable<string> PrometheusNames(Instrument instrument)
    {
        var kind = instrument.GetType().Name;
        var name = instrument.Name.Replace('.', '_');
        // https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/: units in full, braces left out.
        var unit = instrument.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        if (!name.EndsWith(unit, StringComparison.Ordinal))
            name += unit;
        if (kind.StartsWith("Histogram", StringComparison.Ordinal))
            return [name + "_bucket", name + "_sum", name + "_count"];
        return kind.StartsWith("Counter", StringComparison.Ordinal) || kind.StartsWith("ObservableCounter", StringComparison.Ordinal) ? [name + "_total"] : [name];
    }
}
