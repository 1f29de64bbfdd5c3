using MailPipeline.Contracts;
using MailPipeline.Delivery.Smtp;
using MailPipeline.ServiceDefaults;
using MassTransit;

namespace MailPipeline.Delivery.Intake;

/// <summary>Questions of the door about recipients of domains that we relay for. One that is lost is asked again when the sender is back.</summary>
internal sealed class VerifyRecipientConsumer(RecipientProbe probe, MailBus bus, IHostApplicationLifetime lifetime, ILogger<VerifyRecipientConsumer> log)
    : IConsumer<VerifyRecipient>
{
    public async Task Consume(ConsumeContext<VerifyRecipient> context)
    {
        var question = context.Message;
        ProbeResult result;
        try
        {
            result = await probe.AskAsync(question.Address, lifetime.ApplicationStopping);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            result = ProbeResult.Away;
        }
#pragma warning disable CA1031 // The boundary of a question: whoever waits is told that nobody knows.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.NotVerified(error, question.Address);
            result = ProbeResult.Away;
        }

        try
        {
            await bus.AnswerAsync(
                question.AnswerTo, new RecipientVerified(question.Address, AnswerOf(result.Answer), result.Status), CancellationToken.None);
        }
        catch (BusUnavailableException gone)
        {
            log.AnswerLost(gone, question.Address);
        }
    }

    private static RecipientAnswer AnswerOf(ProbeAnswer answer) => answer switch
    {
        ProbeAnswer.Taken => RecipientAnswer.Taken,
        ProbeAnswer.Refused => RecipientAnswer.Refused,
        ProbeAnswer.PutOff => RecipientAnswer.PutOff,
        _ => RecipientAnswer.Away,
    };
}

internal sealed class VerifyRecipientDefinition() : BatchEndpoint<VerifyRecipientConsumer>(BusEndpoints.VerifyRecipient, MostAtOnce)
{
    /// <summary>Each is a connection of its own beside those of deliveries; who asks has bounds for each domain besides.</summary>
    private const int MostAtOnce = 50;
}
