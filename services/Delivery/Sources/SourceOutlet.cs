using System.Net.Sockets;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// Where the mail of one pool leaves in one batch: holds the source of the next connection, so that nobody has a place among the connections who has no
/// address to connect from.
/// </summary>
/// <param name="messages">There is mail for so many.</param>
internal sealed class SourceOutlet(SourceSlots slots, string pool, Func<int> messages, bool isCounted) : IDisposable
{
    private readonly Lock _lock = new();
    private SourceLease? _held;

    public string Pool => pool;

    /// <summary>Why the last one that was asked for was not to be had.</summary>
    public SourceLack? Lack { get; private set; }

    /// <summary>What was left of the batch was put off for the want of an address.</summary>
    public bool HasPutOff { get; set; }

    /// <summary>When the plan of tomorrow begins for one of many, within its first hour: they do not come all at once.</summary>
    /// <param name="random">From 0 to 1.</param>
    public DateTimeOffset PlannedAt(double random) => slots.Plans.Tomorrow + (TimeSpan.FromHours(1) * random);

    /// <inheritdoc cref="SourceSlots.MayRace"/>
    public bool MayRace => slots.MayRace(pool, isCounted);

    public bool Reaches(AddressFamily family) => slots.Reaches(pool, family);

    /// <summary>False: none can be had now, for the reason that <see cref="Lack"/> says.</summary>
    /// <param name="mayWait">See <see cref="SourceSlots.TakeAsync"/>.</param>
    public async ValueTask<bool> HoldAsync(AddressFamily family, bool mayWait, CancellationToken cancellationToken)
    {
        if (_held is { } held && held.Source.Family == family)
            return true;
        Let();
        (_held, Lack) = await slots.TakeAsync(pool, family, messages(), mayWait, cancellationToken);
        return _held is not null;
    }

    /// <summary>The one that is held, or another where it has been lent already. Null: there is none.</summary>
    public async ValueTask<SourceLease?> LendAsync(AddressFamily family)
    {
        lock (_lock)
        {
            if (_held is { } held && held.Source.Family == family)
            {
                _held = null;
                return held;
            }
        }

        var (lease, lack) = await slots.TakeAsync(pool, family, messages(), mayWait: false, CancellationToken.None);
        Lack = lack ?? Lack;
        return lease;
    }

    public void Dispose() => Let();

    private void Let()
    {
        _held?.Dispose();
        _held = null;
    }
}
