using System.Diagnostics;
using MailPipeline.Administration;
using MailPipeline.Console.Access;
using MailPipeline.Mail;

namespace MailPipeline.Console.Api;

/// <summary>Messages: found, traced, held, released, removed.</summary>
internal static class MessageRoutes
{
    public static void Map(RouteGroupBuilder api)
    {
        var messages = api.MapGroup("/messages").WithTags("Messages");
        messages.MapGet("/", SearchAsync).RequireScope(ApiScopes.Read)
            .WithSummary("Messages by sender, recipient and Message-ID, the latest first").Produces<Page<MessageSummaryView>>().ProducesProblem(422);
        messages.MapGet("/{id}", FindAsync).RequireScope(ApiScopes.Read).WithSummary("The way of one message").Produces<MessageView>().ProducesProblem(404);
        messages.MapPost("/{id}/hold", (string id, Messages all, HttpContext context, CancellationToken cancellation) => ChangeAsync(all.HoldAsync, id, context, cancellation))
            .RequireScope(ApiScopes.Operate).WithSummary("Keep its waiting recipients back").Produces<MessageChangeView>().ProducesProblem(404).ProducesProblem(409);
        messages.MapPost("/{id}/release", (string id, Messages all, HttpContext context, CancellationToken cancellation) => ChangeAsync(all.ReleaseAsync, id, context, cancellation))
            .RequireScope(ApiScopes.Operate).WithSummary("Let its held recipients go").Produces<MessageChangeView>().ProducesProblem(404).ProducesProblem(409);
        messages.MapDelete("/{id}", (string id, Messages all, HttpContext context, CancellationToken cancellation) => ChangeAsync(all.RemoveAsync, id, context, cancellation))
            .RequireScope(ApiScopes.Operate).WithSummary("End its waiting and held recipients for good; the sender is not told").Produces<MessageChangeView>().ProducesProblem(404).ProducesProblem(409);
    }

    private static async Task<IResult> SearchAsync(
        Messages messages, HttpContext context, string? from, string? to, string? messageId, string? cursor, int? limit, CancellationToken cancellation)
    {
        if (Page.Refuse(limit) is { } refused)
            return refused;
        var caller = ApiCaller.Of(context);
        // Of others' mail he learns nothing, not even that there is some: what he may ask for is what goes to whom he has.
        if (!caller.Token.IsForAll && (to is null || !caller.MaySeeAddress(to)))
            return Problem.Forbidden("The token is for a domain or an account alone, and finds messages to an address of that: 'to' must name one");
        var found = await messages.SearchAsync(
            new MessageSearch(from == "<>" ? "" : from, to, messageId?.Trim('<', '>')), string.IsNullOrEmpty(cursor) ? null : cursor, limit ?? Page<object>.Default, cancellation);
        return found switch
        {
            MessagesFound page => TypedResults.Ok(new Page<MessageSummaryView>(
                [.. page.Messages.Select(message => MessageSummaryView.Of(message, caller.Token.IsForAll))], page.Next is { } next ? MessageIds.ToText(next) : null)),
            _ => Page.BadCursor(),
        };
    }

    private static async Task<IResult> FindAsync(string id, Messages messages, HttpContext context, CancellationToken cancellation)
    {
        var caller = ApiCaller.Of(context);
        if (await messages.FindAsync(id, cancellation) is not MessageFound found)
            return NoMessage(id);
        if (caller.Token.IsForAll)
            return TypedResults.Ok(MessageView.Of(found));
        var view = MessageView.OfSome(found, caller.MaySeeAddress);
        return view.Recipients.Count + view.Envelope.Count > 0 ? TypedResults.Ok(view) : NoMessage(id);
    }

    private static async Task<IResult> ChangeAsync(
        Func<string, OperatorIdentity, CancellationToken, Task<MessageResult>> change, string id, HttpContext context, CancellationToken cancellation) =>
        await change(id, ApiCaller.OperatorOf(context), cancellation) switch
        {
            MessageChanged done => TypedResults.Ok(new MessageChangeView(MessageIds.ToText(done.MessageId), Words.Of(done.Action), done.Recipients, 0)),
            // What could be changed was: who repeats it changes the rest.
            MessageChangedInPart part => TypedResults.Ok(new MessageChangeView(MessageIds.ToText(part.MessageId), Words.Of(part.Action), part.Recipients, part.BeingTried)),
            NothingToChange nothing => Problem.Conflict(
                "nothingToChange", $"None of its recipients is in a state that this is for: {string.Join(", ", nothing.Recipients.Select(state => $"{state.Value} {Words.Of(state.Key)}"))}"),
            MessageNotRouted => Problem.Conflict("messageNotRouted", "It is not routed yet, and has no recipients"),
            NoSuchMessage or NotAMessageId => NoMessage(id),
            var other => throw new UnreachableException($"{other.GetType().Name} has no answer"),
        };

    private static IResult NoMessage(string id) => Problem.NotFound("noSuchMessage", $"There is no message '{id}'; those that have ended are forgotten after a while");
}
