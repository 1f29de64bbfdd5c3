using MailPipeline.Storage;

namespace MailPipeline.Delivery.Sources;

/// <summary>The right to one connection from a source address, as long as that lasts.</summary>
internal sealed class SourceLease : IDisposable
{
    private readonly SourceSlots _slots;
    private int _isOver;

    internal SourceLease(SourceSlots slots, Source source, MessageAllowance allowance)
    {
        _slots = slots;
        Source = source;
        Allowance = allowance;
    }

    public Source Source { get; }

    /// <summary>How many messages may go over it.</summary>
    public MessageAllowance Allowance { get; private set; }

    /// <summary>Gives back what is left of its messages, while the connection is kept for another batch.</summary>
    public void Rest()
    {
        _slots.Return(Source, Allowance);
        Allowance = new MessageAllowance(0);
    }

    /// <summary>Another batch has come. False: nothing is left of the plan for today, or nobody knows whether something is.</summary>
    /// <param name="messages">There is mail for so many.</param>
    public async ValueTask<bool> WakeAsync(int messages)
    {
        Rest();
        try
        {
            Allowance = await _slots.Plans.TakeAsync(Source, messages);
        }
        catch (StorageUnavailableException)
        {
            return false;
        }

        return !Allowance.IsSpent;
    }

    /// <summary>It cannot be used, whatever the host is like: for a while others are taken.</summary>
    public void Fault(SourceFaultException fault) => _slots.NoteFault(Source, fault);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isOver, 1) != 0)
            return;
        _slots.Return(Source, Allowance);
        _slots.Release(Source);
    }
}

/// <summary>Why no address of a pool can be used now.</summary>
internal enum SourceLackKind
{
    /// <summary>As many connections are open as each may have; one of them ends.</summary>
    Busy,

    /// <summary>Each has sent what its plan lets it send today.</summary>
    Plan,

    /// <summary>Those that could be used are on other machines.</summary>
    Elsewhere,

    /// <summary>Something is out of order that each needs: its egress, the machine's network, storage for its plan.</summary>
    Fault,

    /// <summary>None is of the kind (IPv4 or IPv6) of the host's address.</summary>
    Family,
}

/// <summary>Why no address of a pool can be used now, in one sentence.</summary>
internal sealed record SourceLack(SourceLackKind Kind, string Text)
{
    /// <summary>For metrics.</summary>
    public string Word => Kind switch
    {
        SourceLackKind.Plan => "plan",
        SourceLackKind.Elsewhere => "elsewhere",
        SourceLackKind.Family => "family",
        SourceLackKind.Busy => "busy",
        _ => "fault",
    };
}
