using System.Threading.Channels;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MassTransit;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>The reports that came in at the endpoint of Queue.</summary>
internal sealed class Reports
{
    private readonly Channel<AttemptReport> _reports = Channel.CreateUnbounded<AttemptReport>();

    public void Add(AttemptReport report) => _reports.Writer.TryWrite(report);

    public async Task<AttemptReport> NextAsync() => await _reports.Reader.ReadAsync(TestContext.Current.CancellationToken);
}

/// <summary>In the place of Queue.</summary>
internal sealed class ReportConsumer(Reports reports) : IConsumer<AttemptsCompleted>
{
    public Task Consume(ConsumeContext<AttemptsCompleted> context)
    {
        reports.Add(context.Message.ToReport());
        return Task.CompletedTask;
    }
}
