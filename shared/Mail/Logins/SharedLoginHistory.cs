using System.Net;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Keeps the <see cref="LoginHistory"/> of this process and those of others together, by storage. Where that is away each process goes on
/// with what it knows itself: its own pauses hold, and nobody is refused for the store's sake. Who fails with any number of names does not fill
/// the store with them: of how many failures it is told is bounded.
/// </summary>
/// <param name="failures">Null: no other process works on this store.</param>
internal sealed class SharedLoginHistory(LoginHistory history, LoginFailureStore? failures, TimeProvider time)
{
    /// <summary>Of one network the others are told so often in a minute. Nobody who mistypes gets there; a network of many users may.</summary>
    internal const int MostToldOfNetwork = 60;

    /// <summary>Of all networks together the others are told so often in a minute. With it no more rows come in than are swept (<see cref="LoginFailureStore.ForgetOldAsync"/>).</summary>
    private const int MostTold = 3000;

    /// <summary>A login waits so long for what others know, as it holds up those behind it; a row by its key takes a millisecond.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Storage that was later than that is not asked for so long.</summary>
    internal static readonly TimeSpan AwayTime = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan s_tellingTime = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<IPNetwork, int> _told = [];
    private int _toldOfAll;
    private long _tellingSince = time.GetTimestamp();
    private long _awayUntil = long.MinValue;

    /// <summary>Takes over what others know, before a password or proof is looked at.</summary>
    public async ValueTask LearnAsync(string name, IPNetwork prefix)
    {
        if (failures is null || time.GetTimestamp() < Volatile.Read(ref _awayUntil))
            return;
        var counters = history.CountersOf(name, prefix);
        try
        {
            var known = await failures.FindAsync(counters).WaitAsync(Patience, time);
            foreach (var counter in counters)
            {
                if (known.TryGetValue(counter, out var shared))
                    history.Learn(counter.Name, counter.Network, shared.Failures, time.GetUtcNow() - shared.At);
                else
                    history.LearnNothing(counter.Name, counter.Network);
            }
        }
        catch (StorageUnavailableException)
        {
            // Alone, until it is back.
        }
        catch (TimeoutException)
        {
            Volatile.Write(ref _awayUntil, time.GetTimestamp() + (long)(AwayTime.TotalSeconds * time.TimestampFrequency));
        }
    }

    /// <summary>
    /// Tells the others of failures that they do not know of. Of a name's first one they are not told: most have no second. Of a network's as a
    /// whole they are told some at a time.
    /// </summary>
    public async ValueTask TellFailureAsync(string name, IPNetwork prefix)
    {
        if (failures is null || history.TakeUntold(name, prefix) is not { Count: > 0 } untold)
            return;
        if (!MayTell(prefix))
        {
            // With the next one, if that comes in another minute.
            history.NotTold(untold);
            return;
        }

        try
        {
            await failures.AddAsync(untold);
            history.Told(untold);
        }
        catch (StorageUnavailableException)
        {
            history.NotTold(untold);
        }
    }

    /// <summary>Tells the others that the name has logged in there.</summary>
    public async ValueTask TellLoginAsync(string name, IPNetwork prefix)
    {
        if (failures is null)
            return;
        try
        {
            await failures.ForgetAsync(name, prefix);
        }
        catch (StorageUnavailableException)
        {
            // They forget it by themselves, within the hour.
        }
    }

    private bool MayTell(IPNetwork prefix)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_tellingSince) >= s_tellingTime)
            {
                _told.Clear();
                (_toldOfAll, _tellingSince) = (0, time.GetTimestamp());
            }

            var told = _told.GetValueOrDefault(prefix);
            if (told >= MostToldOfNetwork || _toldOfAll >= MostTold)
                return false;
            _told[prefix] = told + 1;
            _toldOfAll++;
            return true;
        }
    }
}
