using System.Threading.Channels;
using MailPipeline.Contracts;
using MassTransit;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>The reports that came in at the endpoint of Queue.</summary>
internal sealed class Reports
{
    private readonly Channel<AttemptsCompleted> _reports = Channel.CreateUnbounded<AttemptsCompleted>();

    public void Add(AttemptsCompleted report) => _reports.Writer.TryWrite(report);

    public async Task<AttemptsCompleted> NextAsync() => await _reports.Reader.ReadAsync(TestContext.Current.CancellationToken);
}

/// <summary>In the place of Queue.</summary>
internal sealed class ReportConsumer(Reports reports) : IConsumer<AttemptsCompleted>
{
    public Task Consume(ConsumeContext<AttemptsCompleted> context)
    {
        reports.Add(context.Message);
        return Task.CompletedTask;
    }
}
