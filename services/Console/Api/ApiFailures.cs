using System.Text.Json;
using MailPipeline.Storage;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.Net.Http.Headers;

namespace MailPipeline.Console.Api;

/// <summary>What went wrong while a request was done, as a problem of the closed list; nothing of the inside is told.</summary>
internal sealed partial class ApiFailures(ILogger<ApiFailures> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        var problem = exception switch
        {
            BadHttpRequestException { InnerException: JsonException json } => Problem.DetailsOf(
                StatusCodes.Status400BadRequest, "badBody", json.Path is { Length: > 1 } ? "The value is of another kind, or there is no such field" : "The body is no JSON of the expected form",
                (json.Path ?? "").TrimStart('$', '.')),
            BadHttpRequestException { StatusCode: StatusCodes.Status415UnsupportedMediaType } => Problem.DetailsOf(
                StatusCodes.Status415UnsupportedMediaType, "badMediaType", "The body is to be application/json"),
            BadHttpRequestException bad => Problem.DetailsOf(bad.StatusCode, "badRequest", bad.Message),
            StorageUnavailableException { Fault: StorageFault.OutcomeUnknown } => Problem.DetailsOf(
                StatusCodes.Status503ServiceUnavailable, "outcomeUnknown", "Contact to the store was lost while it was done: look before you do it again, or repeat it with the same Idempotency-Key"),
            StorageUnavailableException { Fault: StorageFault.Refused } => Problem.DetailsOf(
                StatusCodes.Status422UnprocessableEntity, "badText", "There is a text in it that cannot be kept or looked for, such as one with NUL"),
            StorageUnavailableException => Problem.DetailsOf(
                StatusCodes.Status503ServiceUnavailable, "storeAway", "The store cannot be used now; nothing was done"),
            _ => Problem.DetailsOf(StatusCodes.Status500InternalServerError, "failure", "It failed; the log of this process says why"),
        };
        if (problem.Status >= StatusCodes.Status500InternalServerError)
            LogFailed(context.Request.Method, context.GetEndpoint()?.DisplayName ?? "", exception);
        context.Response.StatusCode = problem.Status ?? StatusCodes.Status500InternalServerError;
        if (problem.Status == StatusCodes.Status503ServiceUnavailable)
            context.Response.Headers[HeaderNames.RetryAfter] = "5";
        await TypedResults.Problem(problem).ExecuteAsync(context);
        return true;
    }

    [LoggerMessage(11001, LogLevel.Error, "{Method} {Endpoint} failed")]
    private partial void LogFailed(string method, string endpoint, Exception failure);
}
