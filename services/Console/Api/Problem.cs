using Microsoft.AspNetCore.Mvc;

namespace MailPipeline.Console.Api;

/// <summary>Why a request was not done, as RFC 9457 has it: a name that programs go by, a sentence for people, and the field that it is about.</summary>
internal static class Problem
{
    /// <summary>What the names of problems begin with; each is listed in the README.</summary>
    public const string TypePrefix = "urn:mailpipeline:problem:";

    /// <param name="name">Never changes its meaning.</param>
    /// <param name="field">Of the body or the query; empty: of none.</param>
    public static IResult Of(int status, string name, string detail, string field = "") => TypedResults.Problem(DetailsOf(status, name, detail, field));

    public static IResult NotFound(string name, string detail) => Of(StatusCodes.Status404NotFound, name, detail);

    public static IResult Conflict(string name, string detail) => Of(StatusCodes.Status409Conflict, name, detail);

    public static IResult Invalid(string name, string detail, string field) => Of(StatusCodes.Status422UnprocessableEntity, name, detail, field);

    /// <summary>It is there perhaps, and none of his business.</summary>
    public static IResult Forbidden(string detail) => Of(StatusCodes.Status403Forbidden, "notYours", detail);

    public static ProblemDetails DetailsOf(int status, string name, string detail, string field = "")
    {
        var problem = new ProblemDetails { Status = status, Type = TypePrefix + name, Title = TitleOf(status), Detail = detail };
        if (field.Length > 0)
            problem.Extensions["field"] = field;
        return problem;
    }

    private static string TitleOf(int status) => status switch
    {
        StatusCodes.Status400BadRequest => "The request makes no sense",
        StatusCodes.Status401Unauthorized => "A token is needed",
        StatusCodes.Status403Forbidden => "The token is not for this",
        StatusCodes.Status404NotFound => "There is no such thing",
        StatusCodes.Status409Conflict => "What is there does not allow it",
        StatusCodes.Status412PreconditionFailed => "It has changed since",
        StatusCodes.Status415UnsupportedMediaType => "The body is of another type",
        StatusCodes.Status422UnprocessableEntity => "A value is not what is allowed",
        StatusCodes.Status429TooManyRequests => "Too many requests",
        StatusCodes.Status503ServiceUnavailable => "Not now",
        _ => "It was not done",
    };
}
