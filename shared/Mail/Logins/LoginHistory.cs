using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Mail;

/// <summary>
/// Who logged in from where lately, and who failed to. A name that fails again and again from one network prefix is not looked at there for
/// a while that grows, even where it has logged in lately; from elsewhere it is: so nobody locks its owner out. A network from which many names
/// fail within an hour is paused as a whole, but for names that have logged in there lately. Bounded in number: of failures the network that has most
/// loses its oldest, so that nobody who fails with any number of names makes us forget those of others.
/// </summary>
/// <param name="freeFailuresOfNetwork">Of a network in an hour (<see cref="LoginOptions.FreeFailuresPerNetwork"/>); 0: without a bound.</param>
internal sealed class LoginHistory(TimeProvider time, int freeFailuresOfNetwork = 0)
{
    /// <summary>Of names that have logged in, and as many of others.</summary>
    private const int MaxEntries = 20_000;

    /// <summary>Mistakes in a row that cost nothing but the usual delay; with the next one a login from there is forgotten.</summary>
    private const int FreeFailures = 5;

    /// <summary>
    /// Mistakes in a row from all prefixes of one customer's IPv6 site together (<see cref="LoginNetwork.Wide"/>), which are many: beyond it a name is
    /// paused wherever there it has not logged in from. Of IPv4 the wide network is many customers.
    /// </summary>
    private const int FreeFailuresOfSite = 50;

    /// <summary>A site of IPv6 as a whole has so many times what one of its networks has, as it is for one name.</summary>
    private const int NetworksOfSite = FreeFailuresOfSite / FreeFailures;

    /// <summary>Of the free failures of a network others are told in so many pieces, and of each beyond them.</summary>
    private const int PiecesTold = 10;

    /// <summary>In one pause.</summary>
    private const int GlancesInPause = 5;

    /// <summary>From one process on, others are told of a name that fails (<see cref="SharedLoginHistory"/>).</summary>
    private const int FirstTold = 2;

    /// <summary>Whatever is as old is forgotten.</summary>
    public static readonly TimeSpan Remembered = TimeSpan.FromHours(1);

    private static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();

    // The name is null where the prefix as a whole is meant.
    private readonly Dictionary<(string? Name, IPNetwork Prefix), LinkedListNode<Entry>> _entries = [];

    // By the wide network (LoginNetwork.Wide), each by age.
    private readonly Dictionary<IPNetwork, LinkedList<Entry>> _failed = [];
    private int _failedCount;

    // Apart from those: who fails with any number of names drives out nobody who logs in.
    private readonly LinkedList<Entry> _succeeded = [];

    public bool HasSucceeded(string name, IPNetwork prefix)
    {
        lock (_lock)
            return Find(name, prefix) is { HasSucceeded: true };
    }

    /// <summary>The last login from there, of whatever name, failed.</summary>
    public bool HasFailed(IPNetwork prefix)
    {
        lock (_lock)
            return Find(null, prefix) is { Failures: > 0 };
    }

    /// <summary>It failed too often there, a moment ago, or too many others did.</summary>
    public bool IsPaused(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            var entry = Find(name, prefix);
            if (IsPause(entry, FreeFailures))
                return true;
            // Who is known there goes on beside those who guess: at the same address there may be an office.
            if (entry is { HasSucceeded: true })
                return false;
            return (SiteOf(prefix) is { } site && IsPause(Find(name, site), FreeFailuresOfSite))
                || (CountsNetwork(prefix) && NetworksOf(prefix).Any(network => IsPause(Find(Anybody, network), FreeOf(network, prefix))));
        }
    }

    /// <summary>
    /// While it is paused: whether a login that is remembered may be looked for, a few times in each pause, so that its owner beside a
    /// guesser goes on and the guesser gains nothing. A look that finds it is given back (<see cref="SucceededAgain"/>).
    /// </summary>
    public bool MayGlance(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            if (Find(name, prefix) is not { } entry || entry.Glances >= GlancesInPause)
                return false;
            Replace(entry with { Glances = entry.Glances + 1 });
            return true;
        }
    }

    /// <returns>Other processes know of failures that this login ends.</returns>
    public bool Succeeded(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            var isTold = Find(name, prefix) is { IsTold: true };
            Note(name, prefix, entry => entry with { HasSucceeded = true, Failures = 0, Untold = 0, IsTold = false });
            Note(null, prefix, entry => entry with { Failures = 0 });
            return isTold;
        }
    }

    /// <summary>
    /// With a password that is remembered: the name goes first from there, as after any login. The count of its failures stays, and a pause
    /// with it, so that nobody who guesses beside its owner begins anew whenever he looks for mail.
    /// </summary>
    public void SucceededAgain(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            if (Find(name, prefix) is { Failures: > FreeFailures } entry)
                Replace(entry with { Glances = Math.Max(0, entry.Glances - 1) });
            else
                Note(name, prefix, entry => entry with { HasSucceeded = true });
            Note(null, prefix, entry => entry with { Failures = 0 });
        }
    }

    public void Failed(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            // What a name fails beyond that pauses the name: a device with an old password does not keep its whole office waiting.
            var isFree = Find(name, prefix) is not { Failures: >= FreeFailures };
            Note(name, prefix, OneMore);
            Note(null, prefix, OneMore);
            if (SiteOf(prefix) is { } site)
                Note(name, site, OneMore);
            if (!isFree || !CountsNetwork(prefix))
                return;
            foreach (var network in NetworksOf(prefix))
                Note(Anybody, network, OneMore);
        }

        static Entry OneMore(Entry entry) =>
            entry with { Failures = entry.Failures + 1, Untold = entry.Untold + 1, Glances = 0, HasSucceeded = entry.HasSucceeded && entry.Failures < FreeFailures };
    }

    /// <summary>
    /// Where the failures of a name there are counted: for itself, and for all names of this hour together, under a name that nobody has. No login ends that
    /// count, as a guesser may have an account.
    /// </summary>
    public IReadOnlyList<(string Name, IPNetwork Network)> CountersOf(string name, IPNetwork prefix)
    {
        var networks = NetworksOf(prefix);
        var own = networks.Select(network => (name, network));
        return [.. CountsNetwork(prefix) ? own.Concat(networks.Select(network => (Anybody, network))) : own];
    }

    /// <summary>The networks in which a name's failures are counted: its prefix, and of IPv6 the site around it.</summary>
    private static IReadOnlyList<IPNetwork> NetworksOf(IPNetwork prefix) => SiteOf(prefix) is { } site ? [prefix, site] : [prefix];

    /// <summary>All processes together know of so many failures, the last of which is so old.</summary>
    public void Learn(string name, IPNetwork network, int failures, TimeSpan age)
    {
        lock (_lock)
        {
            if (age >= Remembered || Find(name, network) is { } known && known.Failures - known.Untold >= failures)
                return;
            Note(name, network, entry => entry with
            {
                Failures = failures + entry.Untold, IsTold = true, Glances = 0, HasSucceeded = entry.HasSucceeded && failures <= FreeFailures,
            });
            // Clocks of other machines may be ahead.
            var elapsed = age > TimeSpan.Zero ? age : TimeSpan.Zero;
            if (Find(name, network) is { } learnt)
                Replace(learnt with { At = learnt.At - (long)(elapsed.TotalSeconds * time.TimestampFrequency) });
        }
    }

    /// <summary>No process knows of a failure there. What was told has been ended by a login elsewhere.</summary>
    public void LearnNothing(string name, IPNetwork network)
    {
        lock (_lock)
        {
            if (Find(name, network) is { IsTold: true } entry)
                Replace(entry with { Failures = entry.Untold, IsTold = false });
        }
    }

    /// <summary>The failures that others are to be told of. They are given back by <see cref="NotTold"/> where nobody could be.</summary>
    public IReadOnlyList<UntoldFailures> TakeUntold(string name, IPNetwork prefix)
    {
        lock (_lock)
        {
            List<UntoldFailures> untold = [];
            foreach (var (whose, network) in CountersOf(name, prefix))
            {
                if (Find(whose, network) is not { Untold: > 0 } entry || !IsWorthTelling(entry, whose == name ? null : FreeOf(network, prefix)))
                    continue;
                untold.Add(new UntoldFailures(whose, network, entry.Untold));
                Replace(entry with { Untold = 0 });
            }

            return untold;
        }
    }

    public void Told(IReadOnlyList<UntoldFailures> failures)
    {
        lock (_lock)
        {
            foreach (var (name, network, _) in failures)
            {
                if (Find(name, network) is { } entry)
                    Replace(entry with { IsTold = true });
            }
        }
    }

    public void NotTold(IReadOnlyList<UntoldFailures> failures)
    {
        lock (_lock)
        {
            foreach (var (name, network, count) in failures)
            {
                if (Find(name, network) is { } entry)
                    Replace(entry with { Untold = Math.Min(entry.Untold + count, entry.Failures) });
            }
        }
    }

    /// <param name="freeOfNetwork">Of a count of all names; null: it is of one.</param>
    private static bool IsWorthTelling(Entry entry, int? freeOfNetwork) => freeOfNetwork is { } free
        ? entry.Failures > free || entry.Untold >= Math.Max(1, free / PiecesTold)
        : entry.Failures >= FirstTold;

    /// <summary>All names of this hour: no client can say this one. By the clock, so that all processes mean the same hour.</summary>
    private string Anybody => $"\0{time.GetUtcNow().ToUnixTimeSeconds() / (long)Remembered.TotalSeconds}";

    /// <summary>Those of whom nobody knows where they are have nothing in common.</summary>
    private bool CountsNetwork(IPNetwork prefix) => freeFailuresOfNetwork > 0 && !prefix.BaseAddress.Equals(IPAddress.Any);

    private int FreeOf(IPNetwork network, IPNetwork prefix) => network == prefix ? freeFailuresOfNetwork : freeFailuresOfNetwork * NetworksOfSite;

    private bool IsPause(Entry? entry, int free) => entry?.Failures > free && time.GetElapsedTime(entry.At) < PauseAfter(entry.Failures - free);

    private static IPNetwork? SiteOf(IPNetwork prefix) =>
        prefix.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6 && LoginNetwork.Wide(prefix) is var wide && wide != prefix ? wide : null;

    /// <param name="failures">That were not free.</param>
    private static TimeSpan PauseAfter(int failures)
    {
        var pause = s_firstPause * Math.Pow(2, Math.Min(failures - 1, 10));
        return pause < s_longestPause ? pause : s_longestPause;
    }

    private Entry? Find(string? name, IPNetwork prefix)
    {
        if (!_entries.TryGetValue((name, prefix), out var node))
            return null;
        if (time.GetElapsedTime(node.Value.At) < Remembered)
            return node.Value;
        Remove(node);
        return null;
    }

    private void Note(string? name, IPNetwork prefix, Func<Entry, Entry> change)
    {
        var entry = change(Find(name, prefix) ?? new Entry(name, prefix, false, 0, 0, 0, false, 0)) with { At = time.GetTimestamp() };
        if (_entries.TryGetValue((name, prefix), out var known))
            Remove(known);
        if (entry.HasSucceeded)
        {
            _entries[(name, prefix)] = _succeeded.AddLast(entry);
            if (_succeeded.Count > MaxEntries)
                Remove(_succeeded.First!);
            return;
        }

        var wide = LoginNetwork.Wide(prefix);
        if (!_failed.TryGetValue(wide, out var failed))
            _failed[wide] = failed = [];
        _entries[(name, prefix)] = failed.AddLast(entry);
        if (++_failedCount > MaxEntries)
            Remove(OldestOfMost());
    }

    /// <summary>Of those wide networks that have most entries of failures, the oldest of all.</summary>
    private LinkedListNode<Entry> OldestOfMost() =>
        _failed.Values.MaxBy(entries => (entries.Count, -entries.First!.Value.At))!.First!;

    /// <summary>It is as old as it was, and so is its pause.</summary>
    private void Replace(Entry entry) => _entries[(entry.Name, entry.Prefix)].Value = entry;

    private void Remove(LinkedListNode<Entry> node)
    {
        var entries = node.List!;
        _entries.Remove((node.Value.Name, node.Value.Prefix));
        entries.Remove(node);
        if (entries == _succeeded)
            return;
        _failedCount--;
        if (entries.Count == 0)
            _failed.Remove(LoginNetwork.Wide(node.Value.Prefix));
    }

    /// <param name="Untold">Of the failures, those that other processes have not been told of.</param>
    /// <param name="IsTold">Other processes know of some.</param>
    private sealed record Entry(
        string? Name, IPNetwork Prefix, bool HasSucceeded, int Failures, int Glances, int Untold, bool IsTold, long At);
}

/// <summary>Failures of a name in a network that other processes are to be told of.</summary>
internal readonly record struct UntoldFailures(string Name, IPNetwork Network, int Failures);
