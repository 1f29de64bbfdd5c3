namespace MailPipeline.Delivery;

/// <summary>The look-ups of hosts for one batch: so many names, and so long altogether. A look-up that is cut short counts as failed.</summary>
internal sealed class HostLookUps(MxResolver resolver, DeliveryOptions options, TimeProvider time)
{
    private TimeSpan _waited;

    /// <summary>Names looked up.</summary>
    public int Count { get; private set; }

    /// <summary>No further name is looked up.</summary>
    public bool IsOver => Count >= options.MaxHosts || _waited >= options.DnsBatchTime;

    public async Task<HostAddresses> AddressesAsync(TargetHost host)
    {
        Count++;
        var asked = resolver.AddressesAsync(host);
        if (asked.IsCompleted)
            return await asked;
        var started = time.GetTimestamp();
        try
        {
            return await asked.WaitAsync(options.DnsBatchTime - _waited, time);
        }
        catch (TimeoutException)
        {
            return new HostAddresses([], new ResolutionFailure(
                IsPermanent: false, "4.4.3", $"DNS gave no answer for the address of {host.Name} in time"));
        }
        finally
        {
            _waited += time.GetElapsedTime(started);
        }
    }
}
