using MailPipeline.Contracts;
using MailPipeline.Queue.Domains;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue.Tests;

public sealed class EndpointGateTests
{
    [Fact]
    public void An_endpoint_is_open_when_somebody_consumes_it_and_the_bus_takes()
    {
        var gate = new EndpointGate();
        Assert.True(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.NoteConsumers(BusEndpoints.Store, 0));
        Assert.False(gate.NoteConsumers(BusEndpoints.Store, 0));
        gate.NoteNotTaken(BusEndpoints.Store);
        Assert.False(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.IsOpen(BusEndpoints.Deliver));

        // A broker that says nothing closes nothing.
        var opening = gate.OpeningAfter(0);
        Assert.True(gate.NoteConsumers(BusEndpoints.Store, null));
        Assert.False(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.WaitsForBus);
        Assert.False(opening.IsCompleted);
        gate.NoteTaken();
        Assert.True(gate.IsOpen(BusEndpoints.Store));
        Assert.False(gate.WaitsForBus);
        Assert.True(opening.IsCompleted);
        Assert.Equal(1, gate.Openings);
        Assert.True(gate.OpeningAfter(0).IsCompleted);
        Assert.False(gate.OpeningAfter(1).IsCompleted);
    }

    /// <summary>Domains that fail have an endpoint of their own, and what becomes of it is not the others' affair.</summary>
    [Fact]
    public void What_becomes_of_one_endpoint_closes_and_opens_no_other()
    {
        var gate = new EndpointGate();
        gate.NoteNotTaken(BusEndpoints.DeliverRetry);
        Assert.False(gate.IsOpen(BusEndpoints.DeliverRetry));
        Assert.True(gate.IsOpen(BusEndpoints.Deliver));
        gate.NoteConsumers(BusEndpoints.Deliver, 0);
        gate.NoteTaken();
        Assert.True(gate.IsOpen(BusEndpoints.DeliverRetry));
        Assert.False(gate.IsOpen(BusEndpoints.Deliver));
        Assert.Equal([BusEndpoints.DeliverRetry], gate.OpenedAfter(0));
        gate.NoteConsumers(BusEndpoints.Deliver, 1);
        Assert.Equal([BusEndpoints.Deliver], gate.OpenedAfter(1));
        Assert.Equal(2, gate.OpenedAfter(0).Count);
    }
}
