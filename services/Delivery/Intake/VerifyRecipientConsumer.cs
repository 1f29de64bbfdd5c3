using MailPipeline.Contracts;
using MailPipeline.Delivery.Smtp;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery.Intake;

/// <summary>Questions of the door about recipients of domains that we relay for. One that is lost is asked again when the sender is back.</summary>
internal sealed class VerifyRecipientConsumer(RecipientProbe probe, MailBus bus, IHostApplicationLifetime lifetime, ILogger<VerifyRecipientConsumer> log)
    : IConsumer<VerifyRecipient>
{
    public async Task Consume(ConsumeContext<VerifyRecipient> context)
    {
        var question = context.Message;
        RecipientVerified answer;
        try
        {
            answer = await probe.AskAsync(question.Address, lifetime.ApplicationStopping);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            answer = new RecipientVerified(question.Address, RecipientAnswer.Away);
        }
#pragma warning disable CA1031 // The boundary of a question: whoever waits is told that nobody knows.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.NotVerified(error, question.Address);
            answer = new RecipientVerified(question.Address, RecipientAnswer.Away);
        }

        try
        {
            await bus.AnswerAsync(question.AnswerTo, answer, CancellationToken.None);
        }
        catch (BusUnavailableException gone)
        {
            log.AnswerLost(gone, question.Address);
        }
    }
}

internal sealed class VerifyRecipientDefinition() : BatchEndpoint<VerifyRecipientConsumer>(BusEndpoints.VerifyRecipient, MostAtOnce)
{
    /// <summary>Each is a connection of its own beside those of deliveries; who asks has bounds for each domain besides.</summary>
    private const int MostAtOnce = 50;
}
