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

    public static void AddApi(this IServiceCollection services)
    {
        services.AddProblemDetails();
        services.AddExceptionHandler<ApiFailures>();
        services.AddSingleton<ApiDocument>();
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.Configure<JsonOptions>(json => SetUp(json.SerializerOptions));
        services.AddOpenApi(ApiDocument.Name, ApiDocument.SetUp);
    }

    public static void MapApi(this WebApplication app)
    {
        var settings = app.Services.GetRequiredService<IOptions<ConsoleOptions>>().Value;
        if (settings.TrustedProxies.Count > 0)
            app.UseForwardedHeaders(TokenAccess.ForwardedBy(settings));
        // Health and metrics are for whoever reaches the HTTP port, and for nobody else.
        app.UseWhen(context => settings.TlsPort > 0 && context.Connection.LocalPort == settings.TlsPort && !IsOfApi(context), other => other.Run(context =>
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }));
        app.UseWhen(IsOfApi, api =>
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
        app.MapGet(Document, async (ApiDocument document, CancellationToken cancellation) =>
            TypedResults.Bytes(await document.ReadAsync(cancellation), "application/json")).LimitRequests().ExcludeFromDescription();
    }

    private static bool IsOfApi(HttpContext context) => context.Request.Path.StartsWithSegments("/api", StringComparison.OrdinalIgnoreCase);

    private static void SetUp(JsonSerializerOptions json)
    {
        json.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        json.NumberHandling = JsonNumberHandling.Strict;
        // A slip of the pen is told, and not passed over.
        json.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        json.RespectNullableAnnotations = true;
        json.RespectRequiredConstructorParameters = true;
        json.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false));
    }

    /// <summary>Before the token is looked at: who has sent it where others read it hears so at once, and not when it has gone well for long.</summary>
    private static async Task RefuseClearTextAsync(HttpContext context, RequestDelegate next)
    {
        if (TokenAccess.IsPrivate(context))
            await next(context);
        else
            await Problem.Of(StatusCodes.Status403Forbidden, "clearText", "Tokens are taken by TLS only (Console:TlsPort), or from a proxy that speaks it (Console:TrustedProxies)").ExecuteAsync(context);
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
