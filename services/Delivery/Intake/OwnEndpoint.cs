using MailPipeline.Contracts;
using MailPipeline.Delivery.Connections;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Intake;

/// <summary>
/// The endpoint of this worker alone, to which batches come that go over a connection which it keeps. There is none before the first
/// connection might be kept.
/// </summary>
/// <param name="listenAsync">Begins to listen, and returns the name.</param>
internal sealed class OwnEndpoint(Func<Task<string>> listenAsync, ILogger<OwnEndpoint> log)
{
    private readonly Lock _lock = new();
    private bool _isAsked;
    private string _name = "";

    /// <summary>What comes there goes over connections among those of domains that can be reached: no other pool keeps any.</summary>
    public static OwnEndpoint Of(IServiceProvider host) => new(
        () => host.GetRequiredService<BusAnswers>().ListenAsync<DeliverMessages>(command => _ = host.GetRequiredService<BatchIntake>()
            .DeliverOwnAsync(command.ToBatchCommand(), host.GetRequiredService<ConnectionPools>().Healthy)),
        host.GetRequiredService<ILogger<OwnEndpoint>>());

    /// <summary>Its name; empty as long as the broker has not given us one. Nobody waits for that: he would hold a connection.</summary>
    public string Find()
    {
        bool isFirst;
        lock (_lock)
        {
            isFirst = !_isAsked;
            _isAsked = true;
        }

        if (isFirst)
            _ = ListenAsync();
        lock (_lock)
            return _name;
    }

    private async Task ListenAsync()
    {
        var name = "";
        try
        {
            name = await listenAsync();
        }
#pragma warning disable CA1031 // Without it nothing is kept, and the next batch asks again.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.NoOwnEndpoint(error);
        }

        lock (_lock)
            (_name, _isAsked) = (name, name.Length > 0);
    }
}
