using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

public sealed class AcceptedMessagePublisherTests
{
    /// <summary>Nobody takes what is offered: recipients of all that waits are bounded, one message may have more.</summary>
    [Theory]
    [InlineData(65_000, 1)]
    [InlineData(1000, 50)]
    [InlineData(1, 10_000)]
    public async Task While_the_bus_takes_nothing_so_many_wait(int recipients, int waiting)
    {
        await using var host = await IngressHost.StartAsync();
        var lost = host.Metric<long>("mailpipeline.ingress.hints_lost");
        using var publisher = new AcceptedMessagePublisher(
            null!, host.Services.GetRequiredService<IngressTelemetry>(), new FakeTimeProvider(), NullLogger<AcceptedMessagePublisher>.Instance);
        var message = new Envelope(1, "", [.. Enumerable.Repeat("ann@example.com", recipients)], 1, BodyType.SevenBit, default, "");
        for (var i = 0; i < waiting + 3; i++)
            publisher.Offer(message);
        Assert.Equal(3, lost.GetMeasurementSnapshot().Sum(measured => measured.Value));
    }
}
