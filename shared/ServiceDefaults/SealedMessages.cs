using System.Net.Mime;
using MassTransit;
using MassTransit.Configuration;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>Messages in JSON as MassTransit writes them, each with its seal in a header that older services do not look at.</summary>
internal sealed class SealingSerializer(BusSeal seal) : ISerializerFactory, IMessageSerializer
{
    private readonly SystemTextJsonMessageSerializerFactory _json = new();

    public ContentType ContentType => _json.ContentType;

    public IMessageSerializer CreateSerializer() => this;

    public IMessageDeserializer CreateDeserializer() => _json.CreateDeserializer();

    public MessageBody GetMessageBody<T>(SendContext<T> context)
        where T : class
    {
        var body = _json.CreateSerializer().GetMessageBody(context).GetBytes();
        context.Headers.Set(BusSeal.Header, seal.For(BusSeal.EndpointOf(context.DestinationAddress), body), overwrite: true);
        return new BytesMessageBody(body);
    }
}

/// <summary>
/// Lets nothing through that no service of this store has sent, before any of it is read. It is gone then: counted, said from time to
/// time, and neither delivered again nor dead-lettered, so that whoever sends it cannot fill the broker with it.
/// </summary>
internal sealed partial class SealFilter(BusSeal seal, BusTelemetry telemetry, TimeProvider time, ILogger<SealFilter> log) : IFilter<ReceiveContext>
{
    private static readonly TimeSpan s_silence = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long? _saidAt;
    private int _unsaid;

    public Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        var endpoint = BusSeal.EndpointOf(context.InputAddress);
        if (seal.IsValid(SealOf(context), endpoint, context.Body.GetBytes()))
            return next.Send(context);
        context.GetOrAddPayload(() => Refused.Instance);
        telemetry.Refused(endpoint);
        Say(endpoint);
        return Task.CompletedTask;
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("seal");

    /// <summary>As it lies on the broker: <see cref="Headers.Get{T}(string, T)"/> throws at a number or a list where it is asked for text.</summary>
    private static string? SealOf(ReceiveContext context) =>
        context.TransportHeaders.TryGetHeader(BusSeal.Header, out var value) ? value as string : null;

    private void Say(string endpoint)
    {
        int count;
        lock (_lock)
        {
            _unsaid++;
            if (_saidAt is { } at && time.GetElapsedTime(at) < s_silence)
                return;
            _saidAt = time.GetTimestamp();
            count = _unsaid;
            _unsaid = 0;
        }
        LogRefused(log, endpoint, count);
    }

    /// <summary>On a context: it was refused, so that it counts as nothing else.</summary>
    internal sealed class Refused
    {
        public static readonly Refused Instance = new();
    }

    [LoggerMessage(6033, LogLevel.Error,
        "{Endpoint}: dropped a bus message without a valid seal ({Count} since this was last said); somebody else can write to the broker")]
    private static partial void LogRefused(ILogger log, string endpoint, int count);
}
