using System.Collections.Concurrent;
using System.Net;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The bans in force, read from storage every second, so that what an operator or another server sets or lifts counts here as soon. Storage
/// that is away changes nothing: each ban ends at its time all the same.
/// </summary>
internal sealed partial class BanList(BanStore store, TimeProvider time, ILogger<BanList> log) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private volatile Bans _bans = new([]);

    /// <summary>So many are in force.</summary>
    public int Count => _bans.Count;

    /// <summary>Is told of bans that were in force when the list was read before, and are no longer: they have ended, or were lifted.</summary>
    public Func<IReadOnlyList<Ban>, Task>? Ended { get; set; }

    /// <summary>The client of the session is under a ban, and neither this machine nor one that the operator lists.</summary>
    public bool Has(CheckContext context) =>
        context.Client is { } client && !context.IsListedOrLocal && !context.IsYetToBeNamed && Find(client) is not null;

    /// <summary>The ban of exactly this network, where it has ended by its time since the list was read; said once.</summary>
    public Ban? TakeEnded(IPNetwork network) => _bans.TakeEnded(network, time.GetUtcNow());

    /// <summary>The ban that the client is under; null: none.</summary>
    public Ban? Find(IPAddress client) => _bans is { Count: > 0 } bans ? bans.Find(client, time.GetUtcNow()) : null;

    internal async Task ReadAsync(CancellationToken cancellation)
    {
        var (before, bans) = (_bans, new Bans(await store.ListAsync(2 * BanStore.MaxBans, cancellation)));
        if (Ended is { } ended && before.WithoutThoseOf(bans) is { Count: > 0 } gone)
            await ended(gone);
        _bans = bans;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        do
        {
            try
            {
                await ReadAsync(stoppingToken);
            }
            catch (Exception away) when (away is StorageUnavailableException || stoppingToken.IsCancellationRequested)
            {
                // What was read before stays in force; or the door closes.
            }
            catch (Exception bug)
            {
                LogNotRead(log, bug);
            }
        }
        while (await PauseAsync(stoppingToken));
    }

    private async Task<bool> PauseAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(s_interval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !stoppingToken.IsCancellationRequested;
    }

    [LoggerMessage(1045, LogLevel.Error, "The bans could not be read; next time")]
    private static partial void LogNotRead(ILogger log, Exception exception);

    /// <summary>Bans by network: a client is looked for once for each length of prefix that there is.</summary>
    private sealed class Bans
    {
        private readonly ConcurrentDictionary<IPNetwork, Ban> _byNetwork = [];
        private readonly int[] _lengthsIPv4;
        private readonly int[] _lengthsIPv6;

        public Bans(IReadOnlyList<Ban> bans)
        {
            foreach (var ban in bans)
                _byNetwork[ban.Network] = ban;
            _lengthsIPv4 = LengthsOf(octets: 4);
            _lengthsIPv6 = LengthsOf(octets: 16);
        }

        public int Count => _byNetwork.Count;

        public IReadOnlyList<Ban> WithoutThoseOf(Bans later) =>
            [.. _byNetwork.Where(ban => !later._byNetwork.ContainsKey(ban.Key)).Select(ban => ban.Value)];

        public Ban? TakeEnded(IPNetwork network, DateTimeOffset now) =>
            _byNetwork.TryGetValue(network, out var ban) && ban.Until <= now && _byNetwork.TryRemove(new(network, ban)) ? ban : null;

        public Ban? Find(IPAddress client, DateTimeOffset now)
        {
            var bytes = HostAddress.Plain(client).GetAddressBytes();
            foreach (var length in bytes.Length == 4 ? _lengthsIPv4 : _lengthsIPv6)
            {
                for (var bit = length; bit < bytes.Length * 8; bit++)
                    bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
                if (_byNetwork.TryGetValue(new IPNetwork(new IPAddress(bytes), length), out var ban) && ban.Until > now)
                    return ban;
            }

            return null;
        }

        // The longest first, so that a client's bits are cleared once.
        private int[] LengthsOf(int octets) =>
        [
            .. _byNetwork.Keys.Where(network => network.BaseAddress.GetAddressBytes().Length == octets)
                .Select(network => network.PrefixLength).Distinct().OrderDescending(),
        ];
    }
}
