using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MailPipeline.Console.Access;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console.Api;

/// <summary>
/// Who does not know whether his request arrived repeats it with the same <c>Idempotency-Key</c>, and gets the answer of the first one. A key is
/// remembered for a day, for whoever's token it came with.
/// </summary>
internal static class IdempotencyKeys
{
    private const string Field = "Idempotency-Key";
    private const int Longest = 200;

    public static RouteHandlerBuilder AcceptsKey(this RouteHandlerBuilder route) => route
        .WithMetadata(new KeyAccepted()).AddEndpointFilter(RunAsync).ProducesProblem(StatusCodes.Status409Conflict);

    private static async ValueTask<object?> RunAsync(EndpointFilterInvocationContext call, EndpointFilterDelegate next)
    {
        var context = call.HttpContext;
        var given = context.Request.Headers[Field];
        if (given.Count == 0)
            return await next(call);
        if (given is not [{ Length: > 0 and <= Longest } key])
            return Problem.Of(StatusCodes.Status400BadRequest, "badKey", $"It must be one text of 1 to {Longest} characters", Field);
        var options = context.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        var store = context.RequestServices.GetRequiredService<ApiAnswerStore>();
        var token = ApiCaller.Of(context).Token;
        var name = DigestOf(Encoding.UTF8.GetBytes($"{token.Name}\n{token.MadeAt.UtcTicks}\n{context.Request.Path}\n{key}"));
        // What is secret in it is not kept in any form by which it could be found by trying.
        var body = call.Arguments[0] is NewAccount account ? account with { Password = "" } : call.Arguments[0];
        var request = DigestOf(JsonSerializer.SerializeToUtf8Bytes(body, options));
        AnswerWanted? mine = null;
        switch (await store.BeginAsync(name, request, context.RequestAborted))
        {
            case AnswerWanted wanted:
                mine = wanted;
                break;
            case AnswerKept kept:
                if (kept.Location.Length > 0)
                    context.Response.Headers.Location = kept.Location;
                return TypedResults.Text(kept.Body, kept.Type, Encoding.UTF8, kept.Status);
            case AnswerOfAnother:
                return Problem.Of(StatusCodes.Status422UnprocessableEntity, "keyOfAnother", "It was given with another request", Field);
            case AnswerUnderWay:
                return Problem.Conflict("requestUnderWay", "The first request with this key is being done");
        }
        var result = await RunAsync(call, next, store, name, mine);
        // What was wrong with the request is as wrong when it is repeated; what failed may be tried again.
        if (result is IStatusCodeHttpResult { StatusCode: { } status } and IValueHttpResult { Value: { } value } && status < StatusCodes.Status500InternalServerError)
        {
            var location = context.Response.Headers.Location.ToString();
            if (location.Length == 0 && result.GetType().GetProperty("Location")?.GetValue(result) is string made)
                location = made;
            await store.EndAsync(name, mine!, new AnswerKept(
                status, location, status >= StatusCodes.Status400BadRequest ? "application/problem+json" : "application/json", JsonSerializer.Serialize(value, value.GetType(), options)));
        }
        return result;
    }

    private static async ValueTask<object?> RunAsync(
        EndpointFilterInvocationContext call, EndpointFilterDelegate next, ApiAnswerStore store, string name, AnswerWanted? mine)
    {
        try
        {
            return await next(call);
        }
        // Where nobody knows whether it was done, the key says so for a minute: whoever repeats it looks first.
        catch (Exception failure) when (mine is not null && failure is not StorageUnavailableException { Fault: StorageFault.OutcomeUnknown })
        {
            try
            {
                await store.GiveUpAsync(name, mine);
            }
            catch (StorageUnavailableException)
            {
            }
            throw;
        }
    }

    private static string DigestOf(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}

/// <summary>The endpoint takes a key, which its document says.</summary>
internal sealed class KeyAccepted;
