using MailPipeline.Ingress.Filters;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Tells the operator's filters of each step of a session and obeys them (<see cref="SessionFilters"/>). Asked last at each stage, so that they see
/// what is taken but for them.
/// </summary>
internal sealed class FilterCheck : ICheck
{
    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) =>
        context.Filters is not { } filters ? new(Verdict.GoOn) : context.Stage == CheckStage.Content ? EndAsync(filters) : AskAsync(context, filters);

    private static async ValueTask<Verdict> AskAsync(CheckContext context, SessionFilters filters)
    {
        var said = context.Stage switch
        {
            CheckStage.Connection => await filters.ConnectAsync(context.EndPoint, context.HostName, context.LocalName),
            CheckStage.Hello => await filters.HelloAsync(context.ClientName, context.Tls),
            CheckStage.Sender => await filters.SenderAsync(new(context.Sender, context.Account?.Address, context.LoginMechanism)),
            _ => await filters.RecipientAsync(context.Recipient),
        };
        return VerdictOf(said, context.Stage);
    }

    private static async ValueTask<Verdict> EndAsync(SessionFilters filters)
    {
        var changes = new FilterChanges();
        var said = await filters.EndAsync(changes);
        if (said.Answer.Reply is not null)
            return VerdictOf(said, CheckStage.Content);
        var fields = changes.Fields.Select(field => new HeaderField(field.Name, field.Value)).ToList();
        if (fields.Count == 0 && changes.ChangedFields.Count == 0 && changes.HoldReason.Length == 0 && changes.AddedRecipients.Count == 0 && changes.RemovedRecipients.Count == 0)
            return Verdict.GoOn;
        return Verdict.Noting(new MessageNote
        {
            HoldReason = changes.HoldReason,
            Fields = fields,
            ChangedFields = changes.ChangedFields,
            AddedRecipients = changes.AddedRecipients,
            RemovedRecipients = changes.RemovedRecipients,
        });
    }

    private static Verdict VerdictOf(FiltersAnswer said, CheckStage stage)
    {
        if (said.Answer.Reply is not { } reply)
            return Verdict.GoOn;
        // RFC 5321 §3.1, §3.8: before the greeting there are but these; after it nothing but the session itself says 421.
        var code = (stage, reply.Code) switch
        {
            (CheckStage.Connection, >= 500) => 554,
            (CheckStage.Connection, _) => 421,
            (_, 421) => 451,
            _ => reply.Code,
        };
        return new Verdict(code == reply.Code ? reply : new SmtpReply(code, reply.Status, reply.Lines)) { Rule = said.Filter };
    }
}
