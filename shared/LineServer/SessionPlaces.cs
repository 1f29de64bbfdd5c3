using System.Net;

namespace MailPipeline.LineServer;

/// <summary>How many sessions one listener serves at once.</summary>
/// <param name="Strangers">Of clients that have not logged in.</param>
/// <param name="LoggedIn">Of clients that have; beyond it who logs in keeps a place among the strangers.</param>
/// <param name="OfNetwork">Of one client network, see <see cref="ClientNetworks.NetworkOf"/>.</param>
/// <param name="PrefixIPv6">Bits of an IPv6 address that name such a network.</param>
/// <param name="KeepsPlaces">Keeps the last tenth of the places of strangers for networks from which somebody has logged in lately.</param>
public sealed record SessionLimits(int Strangers, int LoggedIn, int OfNetwork, int PrefixIPv6, bool KeepsPlaces);

/// <summary>
/// The places of one listener, so that who fills one listener shuts out nobody at another. A session that logs in leaves its place to
/// strangers, and as the door fills up the last places are kept for networks that logged in lately: those who know no password do not keep
/// out those who do. Safe from any thread.
/// </summary>
public sealed class SessionPlaces(SessionLimits limits, TimeProvider time)
{
    private const int MaxKnown = 10_000;

    private static readonly TimeSpan s_remembered = TimeSpan.FromDays(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<IPNetwork, int> _byNetwork = [];

    /// <summary>Networks from which somebody has logged in, and when last.</summary>
    private readonly Dictionary<IPNetwork, long> _known = [];

    private int _strangers;
    private int _loggedIn;

    /// <summary>Nine tenths of the places for strangers are taken.</summary>
    public bool IsNearlyFull
    {
        get
        {
            lock (_gate)
                return IsFullBut(limits.Strangers / 10);
        }
    }

    /// <summary>A place until it is disposed; null when a limit is reached.</summary>
    /// <param name="client">Null where nobody knows; such clients count as strangers and for no network.</param>
    /// <param name="limit">The limit that is reached: total or address.</param>
    public Place? TryTake(IPAddress? client, out string limit)
    {
        IPNetwork? network = client is null ? null : ClientNetworks.NetworkOf(client, limits.PrefixIPv6);
        lock (_gate)
        {
            limit = "total";
            if (IsFullBut(limits.KeepsPlaces && !IsKnown(network) ? limits.Strangers / 10 : 0))
                return null;
            if (network is { } own)
            {
                limit = "address";
                var ofNetwork = _byNetwork.GetValueOrDefault(own);
                if (ofNetwork >= limits.OfNetwork)
                    return null;
                _byNetwork[own] = ofNetwork + 1;
            }

            _strangers++;
            return new Place(this, network);
        }
    }

    private bool IsFullBut(int kept) => _strangers >= limits.Strangers - kept;

    private bool IsKnown(IPNetwork? network) =>
        network is { } own && _known.TryGetValue(own, out var at) && time.GetElapsedTime(at) < s_remembered;

    private void Remember(IPNetwork network)
    {
        if (_known.Count >= MaxKnown && !_known.ContainsKey(network))
            _known.Remove(_known.MinBy(known => known.Value).Key);
        _known[network] = time.GetTimestamp();
    }

    private void Leave(IPNetwork? network)
    {
        if (network is not { } own)
            return;
        var ofNetwork = _byNetwork[own] - 1;
        if (ofNetwork == 0)
            _byNetwork.Remove(own);
        else
            _byNetwork[own] = ofNetwork;
    }

    /// <summary>What one session takes.</summary>
    public sealed class Place : IDisposable
    {
        private readonly SessionPlaces _places;
        private readonly IPNetwork? _network;
        private bool _isLoggedIn;
        private bool _isLeft;

        internal Place(SessionPlaces places, IPNetwork? network) => (_places, _network) = (places, network);

        /// <inheritdoc cref="SessionPlaces.IsNearlyFull"/>
        public bool IsNearlyFull => _places.IsNearlyFull;

        /// <summary>The client has logged in. Again changes nothing.</summary>
        public void LoggedIn()
        {
            lock (_places._gate)
            {
                if (_network is { } own)
                    _places.Remember(own);
                if (_isLeft || _isLoggedIn || _places._loggedIn >= _places.Limits.LoggedIn)
                    return;
                _isLoggedIn = true;
                _places._strangers--;
                _places._loggedIn++;
            }
        }

        public void Dispose()
        {
            lock (_places._gate)
            {
                if (_isLeft)
                    return;
                _isLeft = true;
                if (_isLoggedIn)
                    _places._loggedIn--;
                else
                    _places._strangers--;
                _places.Leave(_network);
            }
        }
    }

    private SessionLimits Limits => limits;
}
