using System.Text.Json;
using System.Text.Json.Serialization;
using MailPipeline.Console.Access;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace MailPipeline.Console.Api;

/// <summary>The API, version 1.</summary>
internal static class ApiHosting
{
    public const string Root = "/api/v1";

    /// <summary>What any program may read without a token: which requests there are.</summary>
    public const string Document = $"{Root}/openapi.json";

    private const string DocumentName = "v1";

    public static void AddApi(this IServiceCollection services)
    {
        services.AddProblemDetails();
        services.AddExceptionHandler<ApiFailures>();
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.Configure<JsonOptions>(json => SetUp(json.SerializerOptions));
        services.AddOpenApi(DocumentName, ApiDocument.SetUp);
    }

    public static void MapApi(this WebApplication app)
    {
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/api", StringComparison.Ordinal), api =>
        {
            api.UseExceptionHandler();
            api.UseStatusCodePages(WriteEmptyAsync);
            api.Use(RefuseClearTextAsync);
        });
        app.UseTokenAccess();
        var routes = app.MapGroup(Root).GuardAccess();
        DirectoryRoutes.Map(routes);
        MessageRoutes.Map(routes);
        QueueRoutes.Map(routes);
        OperatorRoutes.Map(routes);
        app.MapOpenApi($"/api/{{documentName}}/openapi.json");
    }

    private static void SetUp(JsonSerializerOptions json)
    {
        json.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        json.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        // A slip of the pen is told, and not passed over.
        json.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        json.RespectNullableAnnotations = true;
        json.RespectRequiredConstructorParameters = true;
        json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
    }

    /// <summary>Before the token is looked at: who has sent it where others read it hears so at once, and not when it has gone well for long.</summary>
    private static async Task RefuseClearTextAsync(HttpContext context, RequestDelegate next)
    {
        if (TokenAccess.IsPrivate(context, context.RequestServices.GetRequiredService<IOptions<ConsoleOptions>>().Value))
            await next(context);
        else
            await Problem.Of(StatusCodes.Status403Forbidden, "clearText", "Tokens are taken by TLS only (Console:TlsPort), or behind a proxy that speaks it (Console:AllowClearText)").ExecuteAsync(context);
    }

    // What the framework answers by a status alone.
    private static async Task WriteEmptyAsync(Microsoft.AspNetCore.Diagnostics.StatusCodeContext answered)
    {
        var context = answered.HttpContext;
        var (name, detail) = context.Response.StatusCode switch
        {
            StatusCodes.Status401Unauthorized => ("noToken", "Authorization: Bearer TOKEN, of a token that has not ended"),
            StatusCodes.Status403Forbidden => ("noScope", "The token has not the scope that this asks for"),
            StatusCodes.Status404NotFound => ("noSuchResource", $"There is no {context.Request.Path}; {Document} says what there is"),
            StatusCodes.Status405MethodNotAllowed => ("badMethod", $"{context.Request.Method} is not for this"),
            StatusCodes.Status415UnsupportedMediaType => ("badMediaType", "The body is to be application/json"),
            StatusCodes.Status429TooManyRequests => ("tooManyRequests", "Wait a second, and go on more slowly (Console:RequestsPerSecond)"),
            _ => ("badRequest", "It was not done"),
        };
        await Problem.Of(context.Response.StatusCode, name, detail).ExecuteAsync(context);
    }
}
